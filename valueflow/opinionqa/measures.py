"""What is measured of a survey's answers besides whether they are right, one figure an answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.opinionqa.accuracy import Measure
from valueflow.opinionqa.alignment import (
    OtherGroups,
    best_option_alignment,
    divided,
    jensen_shannon_distance,
    jensen_shannon_nearness,
    majority_alignment,
    sampling_alignment,
    wasserstein_alignment,
)
from valueflow.opinionqa.ceilings import blind_accuracy, groups_of_each
from valueflow.opinionqa.passes import Pass
from valueflow.opinionqa.questions import SurveyQuestion
from valueflow.statistics import Values, cluster_codes


@dataclass(frozen=True)
class SurveyMeasures:
    """Figures of N answers.

    Attributes
    ----------
    measures
        Whose means the table of accuracies shows.
    columns
        What the table of details shows.
    counts
        How many answers a figure could not be had for, and why.
    """

    measures: Sequence[Measure]
    columns: Mapping[str, Sequence[object]]
    counts: Mapping[str, int]


def measure_survey(
    items: Sequence[SurveyQuestion],
    default: Pass,
    profile: Pass,
    profile_used: npt.NDArray[np.bool_],
    draws: int,
) -> SurveyMeasures:
    """Measure two passes over a survey.

    Parameters
    ----------
    items
        N questions, each with its group.
    default, profile
        Answers of the two passes.
    profile_used
        (N,) whether the profile pass showed the group's profile. Where it did not there is no gain.
    draws
        Answers drawn to a question, for what the group's own sampling would reach.
    """
    questions = cluster_codes([(item.question, item.options) for item in items])
    attributes, kinds = [item.attribute for item in items], [item.group for item in items]
    width = max(len(item.options) for item in items)
    gold = _distributions([item.gold for item in items], width)
    positions = _padded([item.positions for item in items], width, np.nan)
    before, after = (
        _distributions([answer.shares for answer in answered.answers], width) for answered in (default, profile)
    )
    aligned = [wasserstein_alignment(answers, gold, positions) for answers in (before, after)]
    distant = [jensen_shannon_distance(answers, gold) for answers in (before, after)]
    pairs = zip(default.answers, profile.answers, strict=True)
    # A point and a whole distribution differ in nearness by what they are.
    alike = np.array([one.source == other.source for one, other in pairs], dtype=np.bool_)
    alignment, distance = (_both(figures[0], figures[1], alike) for figures in (aligned, distant))
    own, own_js = (
        np.where(profile_used, after_ - before_, np.nan)
        for before_, after_ in (alignment, (1 - distance[0], 1 - distance[1]))
    )
    others = OtherGroups.of(questions, attributes, kinds)
    other, other_js = (
        np.where(np.isnan(mine), np.nan, others.gain(before, after, gold, positions, nearness))
        for mine, nearness in ((own, wasserstein_alignment), (own_js, jensen_shannon_nearness))
    )
    # Over the same answers as what they are set beside.
    ceilings = (
        ("majority_alignment", majority_alignment(gold, positions, wasserstein_alignment)),
        ("best_option_alignment", best_option_alignment(gold, positions, wasserstein_alignment)),
        ("sampling_alignment", sampling_alignment(gold, positions, draws)),
    )
    majority_js = 1 - majority_alignment(gold, positions, jensen_shannon_nearness)
    # As they stand in the file: dividing by their sum could make ties of what are none.
    listed = _padded([item.gold for item in items], width, -1.0)
    blind = blind_accuracy(listed == listed.max(axis=1, keepdims=True), questions)
    ordered = ~np.isnan(positions).all(axis=1)
    n_groups = groups_of_each(questions, attributes)
    alone = n_groups == 1
    mixed = ~alike & ~np.isnan(distant[0]) & ~np.isnan(distant[1])
    return SurveyMeasures(
        measures=[
            Measure("blind_accuracy", blind, "mean"),
            *_passes("alignment", *alignment),
            *(Measure(name, np.where(np.isnan(alignment[0]), np.nan, figures), "mean") for name, figures in ceilings),
            *_passes("js_distance", *distance),
            Measure("majority_js_distance", np.where(np.isnan(distance[0]), np.nan, majority_js), "mean"),
            *_gains("", own, other),
            *_gains("_js", own_js, other_js),
        ],
        columns={
            "default_alignment": aligned[0].tolist(),
            "profile_alignment": aligned[1].tolist(),
            "default_js_distance": distant[0].tolist(),
            "profile_js_distance": distant[1].tolist(),
            "own_gain": own.tolist(),
            "other_gain": other.tolist(),
            "own_gain_js": own_js.tolist(),
            "other_gain_js": other_js.tolist(),
            "option_positions": [_as_json(item.positions) for item in items],
            "groups_asked": n_groups.tolist(),
            "blind_right": blind.tolist(),
        },
        counts={
            "answers_to_questions_of_one_group": int(alone.sum()),
            "without_order": int((~ordered).sum()),
            "mixed_sources": int(mixed.sum()),
            "without_alignment": int((ordered & ~mixed & np.isnan(alignment[0])).sum()),
            "without_js_distance": int((~mixed & np.isnan(distance[0])).sum()),
            "gains": int((~np.isnan(own_js - other_js)).sum()),
            "gains_against_groups_of_any_kind": int((~np.isnan(own_js - other_js) & ~others.same_kind).sum()),
            "without_gain_profile_not_used": int((~profile_used).sum()),
            "without_gain_one_group": int((profile_used & alone).sum()),
            "without_gain_no_distribution": int((profile_used & ~alone & np.isnan(own_js)).sum()),
        },
    )


def _passes(name: str, before: Values, after: Values) -> list[Measure]:
    return [
        Measure(f"default_{name}", before, "interval", count=f"{name}_n"),
        Measure(f"profile_{name}", after, "interval"),
        Measure(f"{name}_difference", after - before, "test"),
    ]


def _gains(ending: str, own: Values, other: Values) -> list[Measure]:
    """Return both gains over the answers that have both, and their difference."""
    own, other = _both(own, other, np.ones(len(own), dtype=np.bool_))
    return [
        Measure(f"own_gain{ending}", own, "mean", count=f"own_minus_other{ending}_n"),
        Measure(f"other_gain{ending}", other, "mean"),
        Measure(f"own_minus_other{ending}", own - other, "test"),
    ]


def _both(one: Values, other: Values, among: npt.NDArray[np.bool_]) -> tuple[Values, Values]:
    """Keep the figures of answers that have both, so that means compare the same answers."""
    known = among & ~np.isnan(one) & ~np.isnan(other)
    return np.where(known, one, np.nan), np.where(known, other, np.nan)


def _distributions(rows: Sequence[Sequence[float]], width: int) -> Values:
    """Return (N, K) distributions that add up to 1; all NaN where a row is empty."""
    padded = _padded(rows, width, 0.0)
    total = padded.sum(axis=1, keepdims=True)
    return divided(padded, total)


def _padded(rows: Sequence[Sequence[float]], width: int, filler: float) -> Values:
    return np.array([[*row, *[filler] * (width - len(row))] for row in rows], dtype=np.float64)


def _as_json(positions: Sequence[float]) -> str:
    return json.dumps([None if np.isnan(position) else position for position in positions])
