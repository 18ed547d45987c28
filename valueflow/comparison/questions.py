"""Which jobs are compared with which: the questions that a set of finished evaluations can answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np

from valueflow.comparison.contrasts import slope_weights
from valueflow.comparison.jobs import Condition, Job
from valueflow.responses import UNSTEERED, shown_intensity

Pairs = Literal["reference", "all"]

FACTORS = ("run", "model", "steered_by", "targets")
"""What conditions may differ in, besides the intensity."""

INTENSITY, SLOPE = "intensity", "slope"


@dataclass(frozen=True)
class Question:
    """A contrast of jobs that measure the same value.

    Attributes
    ----------
    family
        Questions of one kind, for which p-values are corrected together: what differs, `slope`, or `slope by` what.
    jobs, weights
        Places of the jobs, and their weights in the contrast.
    condition
        What the jobs have in common; empty where that is all the same.
    compared, against
        What differs: the estimate is that of `compared` less that of `against`, which slopes leave empty.
    direction
        1 or -1 where scores should rise or fall in a change from the second job to the first; else 0.
    """

    family: str
    jobs: tuple[int, ...]
    weights: tuple[float, ...]
    condition: Condition
    compared: str
    against: str
    direction: int = 0


def ask(jobs: Sequence[Job], reference: int | str, pairs: Pairs) -> list[Question]:
    """Return all questions, by family and in the order of the jobs.

    Parameters
    ----------
    jobs
        All jobs.
    reference
        Intensity that others are compared with; `all`: jobs without one; `auto`: these where there are any, else
        intensity 0, else the lowest.
    pairs
        `reference`: each intensity with the reference, and the highest with the lowest; `all`: every two.
    """
    by_value: dict[tuple[str, str], list[int]] = {}
    for place, job in enumerate(jobs):
        by_value.setdefault(job.measured, []).append(place)
    questions = [
        question
        for places in by_value.values()
        for question in (
            *_by_factor(jobs, places),
            *_by_intensity(jobs, places, reference, pairs),
            *_slopes(jobs, places),
        )
    ]
    order = [*FACTORS, INTENSITY, SLOPE, *(f"{SLOPE} by {factor}" for factor in FACTORS)]
    return sorted(questions, key=lambda question: order.index(question.family))


def _by_factor(jobs: Sequence[Job], places: list[int]) -> Iterator[Question]:
    """Ask about every two jobs that differ in one factor."""
    for earlier, later in combinations(places, 2):
        factor = _only_difference(jobs[earlier].condition, jobs[later].condition)
        if factor:
            yield _difference(jobs, factor, later, earlier)


def _only_difference(one: Condition, other: Condition) -> str | None:
    if one.intensity != other.intensity:
        return None
    differing = [factor for factor in FACTORS if getattr(one, factor) != getattr(other, factor)]
    if "targets" in differing and not (one.targets and other.targets):
        # Responses that are not steered are not steered by a method either.
        differing = [factor for factor in differing if factor != "steered_by"]
    return differing[0] if len(differing) == 1 else None


def _difference(jobs: Sequence[Job], factor: str, compared: int, against: int) -> Question:
    return Question(
        family=factor,
        jobs=(compared, against),
        weights=(1.0, -1.0),
        condition=_without(jobs[against].condition, factor),
        compared=getattr(jobs[compared].condition, factor) or UNSTEERED,
        against=getattr(jobs[against].condition, factor) or UNSTEERED,
        direction=int(np.sign(jobs[compared].level - jobs[against].level)) if factor == "targets" else 0,
    )


def _without(condition: Condition, factor: str) -> Condition:
    """Return a condition that leaves a factor open."""
    left_open: dict[str, Any] = {factor: ""}
    return replace(condition, **left_open)


def _by_intensity(jobs: Sequence[Job], places: list[int], reference: int | str, pairs: Pairs) -> Iterator[Question]:
    for condition, ladder in _ladders(jobs, places).items():
        base = _reference(jobs, places, condition, ladder, reference)
        others = [place for place in ladder.values() if place != base]
        chosen = [] if base is None else [(place, base) for place in others]
        ends = [*ladder.values()][:: max(len(ladder) - 1, 1)]
        # Of two intensities, the higher less the lower.
        upward = combinations(ladder.values() if pairs == "all" else ends, 2)
        asked = {frozenset(pair) for pair in chosen}
        chosen += [(high, low) for low, high in upward if frozenset((low, high)) not in asked]
        for compared, against in chosen:
            yield Question(
                family=INTENSITY,
                jobs=(compared, against),
                weights=(1.0, -1.0),
                condition=replace(condition, intensity=None),
                compared=shown_intensity(jobs[compared].condition.intensity),
                against=shown_intensity(jobs[against].condition.intensity),
                direction=int(np.sign(jobs[compared].level - jobs[against].level)),
            )


def _ladders(jobs: Sequence[Job], places: list[int]) -> Mapping[Condition, dict[int, int]]:
    """Return for each condition its places by intensity, ascending; the intensity of a key is None."""
    ladders: dict[Condition, dict[int, int]] = {}
    for place in places:
        condition = jobs[place].condition
        if condition.intensity is not None:
            ladders.setdefault(replace(condition, intensity=None), {})[condition.intensity] = place
    return {condition: dict(sorted(ladder.items())) for condition, ladder in ladders.items()}


def _reference(
    jobs: Sequence[Job], places: list[int], condition: Condition, ladder: Mapping[int, int], wanted: int | str
) -> int | None:
    """Return the place of the job that a condition's intensities are compared with, or None."""
    if wanted in ("auto", UNSTEERED):
        unsteered = _unsteered(jobs, places, condition)
        if unsteered is not None or wanted == UNSTEERED:
            return unsteered
        return ladder.get(0, next(iter(ladder.values())))
    return ladder.get(int(wanted))


def _unsteered(jobs: Sequence[Job], places: list[int], condition: Condition) -> int | None:
    """Return the one job of the same model without an intensity; of several, the one that is most alike."""
    found = [
        place
        for place in places
        if jobs[place].condition.intensity is None
        and not jobs[place].condition.targets
        and jobs[place].condition.model == condition.model
    ]
    for factor in ("run", "steered_by"):
        alike = [place for place in found if getattr(jobs[place].condition, factor) == getattr(condition, factor)]
        found = alike or found
    return found[0] if len(found) == 1 else None


def _slopes(jobs: Sequence[Job], places: list[int]) -> Iterator[Question]:
    """Ask how scores rise with the intensity, and whether that differs between conditions."""
    ladders = {condition: ladder for condition, ladder in _ladders(jobs, places).items() if len(ladder) > 1}
    weights = {
        condition: tuple(slope_weights(np.array(list(ladder), dtype=float)).tolist())
        for condition, ladder in ladders.items()
    }
    for condition, ladder in ladders.items():
        shown = " ".join(map(shown_intensity, ladder))
        yield Question(SLOPE, tuple(ladder.values()), weights[condition], condition, shown, "", direction=1)
    for earlier, later in combinations(ladders, 2):
        factor = _only_difference(earlier, later)
        if factor and list(ladders[earlier]) == list(ladders[later]):
            yield Question(
                family=f"{SLOPE} by {factor}",
                jobs=(*ladders[later].values(), *ladders[earlier].values()),
                weights=(*weights[later], *(-weight for weight in weights[earlier])),
                condition=_without(earlier, factor),
                compared=getattr(later, factor) or UNSTEERED,
                against=getattr(earlier, factor) or UNSTEERED,
            )


def condition_cells(condition: Condition) -> dict[str, str | int]:
    """Return a condition as cells of a table; what it leaves open is empty."""
    cells = {factor: getattr(condition, factor) for factor in FACTORS}
    return cells | {"intensity": "" if condition.intensity is None else condition.intensity}
