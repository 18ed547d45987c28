"""The tables of profiles: a row per group and value, and a row per text and value."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.profiling.differences import Differences, differences_from_all
from valueflow.profiling.estimates import GroupMean
from valueflow.profiling.measuring import MeasuredValue
from valueflow.profiling.normalization import Normalization, level_of
from valueflow.statistics import holm
from valueflow.theory import Theory

SIGNIFICANT = 0.05

FloatArray = npt.NDArray[np.float64]


def profiles_table(
    theory: Theory,
    groups: Sequence[str],
    found: Mapping[str, Sequence[GroupMean]],
    scale_variances: Mapping[str, float],
    normalization: Normalization,
) -> pd.DataFrame:
    """Return the profiles of G groups on a theory's values.

    Parameters
    ----------
    theory
        Its values are the rows of each group.
    groups
        Names.
    found
        For each value that was measured the mean of each group.
    scale_variances
        For each of them, the variance of the judge's scale (see `differences_from_all`).
    normalization
        From means to scores.

    Returns
    -------
    table
        `group`, `theory`, `value`, `label`, `mean`, `low`, `high`, `se`, `n`, `clusters`, `difference`,
        `difference_low`, `difference_high`, `p`, `p_holm` (over all groups and values of the theory), `differs`,
        `score`, `level`; a value that nothing is known of has n = 0 and no figures.
    """
    columns, means = [], np.full((len(groups), len(theory.values)), np.nan)
    for place, value in enumerate(theory.values):
        own = found.get(value, ())
        means[:, place] = [group.mean for group in own] if own else np.nan
        columns.append(_of_value(theory, value, groups, own, scale_variances.get(value, 0.0)))
    scores = normalization.scores(means)
    for place, column in enumerate(columns):
        column["score"] = scores[:, place]
    table = pd.concat(columns).sort_index(kind="stable").reset_index(drop=True)
    adjusted = holm(table["p"].to_numpy(dtype=np.float64))
    place = table.columns.tolist().index("p") + 1
    table.insert(place, "p_holm", adjusted)
    table.insert(place + 1, "differs", adjusted <= SIGNIFICANT)
    table["level"] = ["" if np.isnan(score) else level_of(score) for score in table["score"]]
    return table


def _of_value(
    theory: Theory, value: str, groups: Sequence[str], found: Sequence[GroupMean], scale_variance: float
) -> pd.DataFrame:
    none = np.full(len(groups), np.nan)
    differences = (
        differences_from_all([group.estimate for group in found], scale_variance)
        if found
        else Differences(none, none, none, none)
    )
    figures = {
        name: [getattr(group, name) for group in found] if found else none for name in ("mean", "low", "high", "se")
    }
    counts = {name: [getattr(group, name) for group in found] if found else 0 for name in ("n", "clusters")}
    return pd.DataFrame(
        {
            "group": groups,
            "theory": theory.name,
            "value": value,
            "label": theory.nodes[value].label,
            **figures,
            **counts,
            "difference": differences.estimate,
            "difference_low": differences.low,
            "difference_high": differences.high,
            "p": differences.p,
        }
    )


def pairs_table(
    theory: Theory,
    texts: npt.NDArray[np.object_],
    relevance: FloatArray,
    measured: Mapping[str, MeasuredValue],
) -> pd.DataFrame:
    """Return a row for each text and each value that it bears on: `text`, `theory`, `value`, `relevance`, its score."""
    parts = []
    categories = pd.CategoricalDtype(list(theory.values))
    for value, own in measured.items():
        place = theory.values.index(value)
        scores = own.scores
        parts.append(
            pd.DataFrame(
                {
                    "text": texts[own.texts],
                    "theory": theory.name,
                    "value": pd.Categorical([value] * len(own.texts), dtype=categories),
                    "relevance": relevance[own.texts, place],
                    "score": scores.score,
                    "se": scores.se,
                    "low": scores.low,
                    "high": scores.high,
                    "windows": scores.windows,
                    "windows_failed": scores.windows_failed,
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
