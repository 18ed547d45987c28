"""What an evaluation finds, and what it leaves in its folder."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from valueflow.evaluation.display import show_evaluation
from valueflow.evaluation.scoring import Scores
from valueflow.responses import IDENTITY
from valueflow.run import Outcome
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY

SCORES_FILE, RANKINGS_FILE = "scores.csv", "rankings.csv"


@dataclass(frozen=True, kw_only=True)
class Evaluation(Outcome):
    """What an evaluation found.

    Attributes
    ----------
    scores
        One row per response, in the order given: `query`, `dataset`, `response`, `{value}_score`,
        `{value}_se`, `{value}_low`, `{value}_high`, `windows`, `windows_failed`. The last two count
        rankings: a panel of J judges gives J of each window.
    rankings
        One row per window, of a panel one for each window and judge; None where saved rankings were
        scored.
    summary
        Figures, counts, judge and its reliability, what judging took, settings, versions, timings.
    """

    scores: pd.DataFrame
    rankings: pd.DataFrame | None

    def outputs(self) -> Mapping[str, pd.DataFrame]:
        """Return `scores.csv` and, unless saved rankings were scored, `rankings.csv`."""
        return {SCORES_FILE: self.scores} | ({} if self.rankings is None else {RANKINGS_FILE: self.rankings})

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the scores, for loggers."""
        return {"scores": self.scores}

    def show(self) -> None:
        """Print the table for a person."""
        show_evaluation([self.summary])


def scores_table(frame: pd.DataFrame, value: str, scores: Scores) -> pd.DataFrame:
    """Return the scores of N responses beside what identifies them."""
    columns: dict[str, npt.NDArray[Any]] = {
        f"{value}_score": scores.score,
        f"{value}_se": scores.se,
        f"{value}_low": scores.low,
        f"{value}_high": scores.high,
        "windows": scores.windows,
        "windows_failed": scores.windows_failed,
    }
    return frame[list(IDENTITY)].assign(**columns)


def figures(scores: Scores) -> dict[str, object]:
    """Return the counts of a run, and the mean score with its 95% interval over responses (Student's t)."""
    known = scores.score[~np.isnan(scores.score)]
    n_windows, n_failed = int(scores.windows.sum()), int(scores.windows_failed.sum())
    mean = float(known.mean()) if len(known) else np.nan
    spread = float(known.std(ddof=1)) if len(known) > 1 else np.nan
    half = float(stdtrit(len(known) - 1, 0.975) * spread / np.sqrt(len(known))) if len(known) > 1 else np.nan
    return {
        "n": len(scores.score),
        "scored": len(known),
        "not_converged": int(scores.not_converged.sum()),
        "mean": mean,
        # The scale is bounded, and so is the mean of scores on it.
        "mean_low": max(mean - half, LOWEST_INTENSITY),
        "mean_high": min(mean + half, HIGHEST_INTENSITY),
        "sd": spread,
        "windows": n_windows,
        "windows_failed": n_failed,
        "share_failed": n_failed / n_windows if n_windows else np.nan,
    }


def panel_figures(scores: Scores) -> dict[str, object]:
    """Return the figures of each judge of a panel and of their agreement; nothing where there was one judge."""
    if scores.agreement is None:
        return {}
    judges = [
        {
            "name": record.name,
            "windows": record.windows,
            "windows_failed": record.windows_failed,
            **asdict(record.reliability),
            "failures": record.failures,
        }
        for record in scores.judges
    ]
    return {"judges": judges, "agreement": asdict(scores.agreement)}
