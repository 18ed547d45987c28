"""The figures of a construction: what is known before anything is asked, and after judging."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import spearmanr

from valueflow.construction.calibration import Scale
from valueflow.construction.ratings import FLAGGED, FOUND_ODD, PEOPLE_DISAGREE
from valueflow.construction.reliability import SplitHalf
from valueflow.construction.rounds import Judged
from valueflow.construction.settings import ConstructionSettings
from valueflow.construction.texts import Reviewed, Texts
from valueflow.judge import Cost, summed_report
from valueflow.plackett_luce import ItemFit

_NAMED_TEXTS = 5

_log = logging.getLogger(__name__)


def planned_figures(
    settings: ConstructionSettings, value: str, texts: Texts, n_windows: int, cost: Cost
) -> dict[str, Any]:
    """Return what is known of a run before anything is asked."""
    return {
        "task": "construction",
        "theory": settings.theory.name,
        "value": value,
        "label": settings.theory.nodes[value].label,
        "dry_run": settings.dry_run,
        "rows": texts.n_rows,
        "texts": int(texts.is_input.sum()),
        "repeated": texts.n_repeated,
        "neutral": int(texts.is_neutral.sum()),
        "known": int((~np.isnan(texts.rating)).sum()),
        "known_only": int((~texts.is_input).sum()),
        "plan": {
            "windows": n_windows,
            "rankings": n_windows * settings.judge.rankings_per_window,
            "most_calls": cost.calls,
            "check_calls": _check_calls(settings, texts),
            "about_prompt_tokens": cost.prompt_tokens,
            "most_completion_tokens": cost.completion_tokens,
        },
        "judge": settings.judge.describe(),
        "settings": {
            **settings.model_dump(
                include={
                    "k",
                    "m",
                    "random_rounds",
                    "prior_precision",
                    "flag_misfit",
                    "human_weight",
                    "agree_within",
                    "check",
                    "limit",
                    "vidb",
                    "license",
                    "source",
                    "push_to",
                }
            ),
            "calibration": _named(settings.calibration),
            "reviewed": _named(settings.reviewed),
            "input": _named(settings.input),
        },
        "seed": settings.seed,
    }


def _check_calls(settings: ConstructionSettings, texts: Texts) -> int:
    return 0 if settings.panel is None else len(settings.panel.members) * int(texts.is_input.sum())


def _named(source: str | pd.DataFrame | None) -> str | None:
    return "a table" if isinstance(source, pd.DataFrame) else source


def ranking_counts(judged: Judged) -> dict[str, Any]:
    """Return how many windows were judged, what failed, and what it took."""
    failed = judged.failures != ""
    return {
        "windows": len(judged.items),
        "rankings": len(judged.orders),
        "rankings_failed": int(failed.sum()),
        "failures": dict(Counter(judged.failures[failed]).most_common()),
        "judging": summed_report(judged.reports),
    }


def judged_figures(
    settings: ConstructionSettings,
    texts: Texts,
    judged: Judged,
    fit: ItemFit,
    halves: SplitHalf,
    ratings: pd.DataFrame,
    scale: Scale,
    reviewed: Reviewed | None,
) -> dict[str, Any]:
    """Return what is known of a run after judging."""
    ranked = fit.n_windows > 0
    by_error = ratings.sort_values(["standard_error", "text"], kind="stable")
    certain = by_error[["text", "final_rating", "standard_error"]].to_dict("records")
    known = ranked & ~np.isnan(texts.rating)
    failed = judged.failures != ""
    slopes = dict(zip(np.unique(judged.judges[judged.used]).tolist(), fit.discrimination.tolist(), strict=True))
    return {
        "flagged": int((ratings["left_out_as"] == FLAGGED).sum()),
        "found_odd": int((ratings["left_out_as"] == FOUND_ODD).sum()),
        "people_disagree": int((ratings["left_out_as"] == PEOPLE_DISAGREE).sum()),
        "reviewed": 0 if reviewed is None else int((~np.isnan(reviewed.rating)).sum()),
        "reviewed_unknown_ids": 0 if reviewed is None else reviewed.n_unknown,
        "reviewed_empty": 0 if reviewed is None else reviewed.n_empty,
        **ranking_counts(judged),
        "components": len(np.unique(fit.component[ranked])),
        "never_lost": int((fit.never_lost & ranked).sum()),
        "never_won": int((fit.never_won & ranked).sum()),
        "prior_precision": fit.prior_precision,
        "converged": fit.converged,
        "split_half": asdict(halves),
        "known_spearman": _spearman(fit.utility[known], texts.rating[known]),
        "scale": {
            "kind": "isotonic" if known.any() else "symmetric",
            "utilities": scale.utilities.tolist(),
            "intensities": scale.intensities.tolist(),
        },
        "judges": [
            {
                "name": name,
                "discrimination": slopes.get(number),
                "failed": int((failed & (judged.judges == number)).sum()),
                "most_common_order_of_places": judged.most_common_share(number),
                "left_out": bool(judged.constant[number]),
            }
            for number, name in enumerate(judged.judge_names)
        ],
        "most_certain": certain[:_NAMED_TEXTS],
        "least_certain": certain[::-1][:_NAMED_TEXTS],
    }


def _spearman(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float | None:
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(spearmanr(first, second).statistic)


def warn(body: Mapping[str, Any]) -> None:
    """Log what makes the ratings less sure than their errors say."""
    if body["components"] > 1:
        _log.warning(
            "failed windows have left %d groups of texts that nothing compares; how these stand to each other is the "
            "prior's word",
            body["components"],
        )
    for judge in body["judges"]:
        if judge["left_out"]:
            _log.warning(
                "judge '%s' named the places of its prompt in the same order every time; it is left out", judge["name"]
            )
