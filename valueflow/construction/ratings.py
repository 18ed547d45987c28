"""From utilities to ratings: the scale, what people add, what is left out and why."""

import numpy as np
import pandas as pd

from valueflow.construction.calibration import Scale, isotonic_scale, symmetric_scale
from valueflow.construction.checking import Checked, check_ratings
from valueflow.construction.flags import outfit
from valueflow.construction.rounds import Judged
from valueflow.construction.settings import ConstructionSettings
from valueflow.construction.texts import HUMAN_RATING, ID, Reviewed, Texts
from valueflow.plackett_luce import ItemFit
from valueflow.run import InputError, row_keys
from valueflow.voting import Panel

FLAGGED, FOUND_ODD, PEOPLE_DISAGREE = "flagged", "found odd by the panel", "people disagree"
"""Why a rating is not published."""


def _scale(texts: Texts, fit: ItemFit) -> Scale:
    ranked = fit.n_windows > 0
    neutral = fit.utility[texts.is_neutral & ranked]
    known = ranked & ~np.isnan(texts.rating)
    try:
        if known.any():
            return isotonic_scale(fit.utility[known], texts.rating[known], neutral)
        return symmetric_scale(fit.utility[ranked], neutral)
    except ValueError as error:
        raise InputError(f"the scale cannot be set: {error}") from error


def rate(
    settings: ConstructionSettings, texts: Texts, judged: Judged, fit: ItemFit, reviewed: Reviewed | None
) -> tuple[pd.DataFrame, Scale]:
    """Return all ranked texts with what is known of them, ascending by final rating, and the scale."""
    scale = _scale(texts, fit)
    ranked = fit.n_windows > 0
    error = np.where(ranked, fit.standard_error, 0.0)
    machine, rating_error = scale.rate(fit.utility, error)
    human = reviewed.rating if reviewed is not None else np.full(len(texts), np.nan)
    is_rated = ~np.isnan(human)
    weight = np.where(is_rated, settings.human_weight, 0.0)
    final = (1 - weight) * machine + weight * np.where(is_rated, human, 0.0)
    used = judged.judges_used
    slope = fit.discrimination[used] if used is not None else np.full(len(judged.rankings), fit.discrimination[0])
    misfit = outfit(judged.rankings, fit.utility, error, slope)
    disagrees = is_rated & (np.abs(machine - np.where(is_rated, human, 0.0)) > settings.agree_within)
    is_odd = ~is_rated & (misfit > settings.flag_misfit)
    reason = np.select([~texts.is_input, disagrees, is_odd], ["calibration only", PEOPLE_DISAGREE, FLAGGED], default="")
    table = pd.DataFrame(
        {
            ID: texts.ids,
            "text": texts.texts,
            "final_rating": final,
            # What people add has no error of its own here.
            "standard_error": (1 - weight) * rating_error,
            "machine_rating": machine,
            HUMAN_RATING: human,
            "known_rating": texts.rating,
            "utility": fit.utility,
            "utility_error": fit.standard_error,
            "windows": fit.n_windows,
            "never_lost": fit.never_lost,
            "never_won": fit.never_won,
            "component": fit.component,
            "outfit": misfit,
            "odd_votes": 0,
            "is_input": texts.is_input,
            "is_neutral": texts.is_neutral,
            "published": reason == "",
            "left_out_as": reason,
        }
    )[ranked]
    return table.sort_values(["final_rating", "text"], kind="stable").reset_index(drop=True), scale


def checked_by_panel(
    panel: Panel, settings: ConstructionSettings, value: str, ratings: pd.DataFrame
) -> tuple[pd.DataFrame, Checked]:
    """Have the panel look at what would be published and no person has rated; what it finds odd is left out."""
    open_ = np.flatnonzero(ratings["published"] & ratings[HUMAN_RATING].isna())
    texts = ratings["text"].to_numpy(dtype=object)[open_]
    checked = check_ratings(
        panel,
        settings.check,
        settings.theory,
        value,
        texts.tolist(),
        ratings["final_rating"].to_numpy(dtype=float)[open_],
        row_keys(pd.DataFrame({"text": texts}), settings.seed),
        cache=settings.cache,
        seed=settings.seed,
        progress=settings.progress,
    )
    odd = np.zeros(len(ratings), dtype=bool)
    odd[open_] = checked.is_odd
    votes = np.zeros(len(ratings), dtype=np.int64)
    votes[open_] = checked.odd_votes
    return ratings.assign(
        odd_votes=votes,
        published=ratings["published"] & ~odd,
        left_out_as=np.where(odd, FOUND_ODD, ratings["left_out_as"]),
    ), checked
