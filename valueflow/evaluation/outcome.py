"""What an evaluation finds, and what it leaves in its folder."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.evaluation.display import show_evaluation
from valueflow.evaluation.scoring import Scores
from valueflow.evaluation.text_scores import TEXT_SCORES_FILE
from valueflow.responses import IDENTITY, PRICE
from valueflow.run import Outcome

SCORES_FILE, RANKINGS_FILE = "scores.csv", "rankings.csv"


@dataclass(frozen=True, kw_only=True)
class Evaluation(Outcome):
    """What an evaluation found.

    Attributes
    ----------
    scores
        One row per response, in the order given: `query`, `dataset`, `response`, `{value}_score`,
        `{value}_se`, `{value}_low`, `{value}_high`, `windows`, `windows_failed`, `outfit`, `misfit`,
        `mean_influence`, and what of `PRICE` the responses have. `windows` and `windows_failed` count rankings: a panel
        of J judges gives J of each window.
    rankings
        One row per window, of a panel one for each window and judge; None where saved rankings were
        scored, or texts without windows.
    text_scores
        One row per text of a judge that reads texts one by one (see `text_scores_table`), where texts were scored
        without windows those of all values; None of other judges.
    summary
        Figures, counts, judge and its reliability, what judging took, settings, versions, timings.
    """

    scores: pd.DataFrame
    rankings: pd.DataFrame | None
    text_scores: pd.DataFrame | None = None

    def outputs(self) -> Mapping[str, pd.DataFrame]:
        """Return `scores.csv` and what there is of `rankings.csv` and `text_scores.csv`."""
        found = {SCORES_FILE: self.scores, RANKINGS_FILE: self.rankings, TEXT_SCORES_FILE: self.text_scores}
        return {name: table for name, table in found.items() if table is not None}

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the scores and the log of windows, for loggers."""
        return {"scores": self.scores} | ({} if self.rankings is None else {"windows": self.rankings})

    def show(self) -> None:
        """Print the table for a person."""
        show_evaluation([self.summary])


@dataclass(frozen=True, eq=False)
class Found:
    """Scores and what comes with them, whichever way they were found.

    Attributes
    ----------
    scores
        Of the responses.
    summary
        What the summary says that only one way can tell.
    drawn
        How windows were drawn, for the summary's settings.
    rankings, text_scores
        As in `Evaluation`.
    """

    scores: Scores
    summary: Mapping[str, object]
    drawn: Mapping[str, object]
    rankings: pd.DataFrame | None = None
    text_scores: pd.DataFrame | None = None


def scores_table(frame: pd.DataFrame, value: str, scores: Scores) -> pd.DataFrame:
    """Return the scores of N responses beside what identifies them."""
    columns: dict[str, npt.NDArray[Any]] = {
        f"{value}_score": scores.score,
        f"{value}_se": scores.se,
        f"{value}_low": scores.low,
        f"{value}_high": scores.high,
        "windows": scores.windows,
        "windows_failed": scores.windows_failed,
        "outfit": scores.outfit,
        "misfit": scores.misfit,
        "mean_influence": scores.mean.influence,
    }
    prices = {name: pd.to_numeric(frame[name], errors="coerce").to_numpy() for name in PRICE if name in frame}
    return frame[list(IDENTITY)].assign(**columns, **prices)


def score_figures(scores: Scores) -> dict[str, object]:
    """Return all that a summary says of scores and of the judges behind them."""
    return {
        **figures(scores),
        "reliability": asdict(scores.reliability),
        "judge_check": judge_check(scores),
        **panel_figures(scores),
    }


def is_without_query(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return whether each response has no query, (N,), as where saved rankings are scored without a responses file."""
    return np.asarray(_queries(frame) == "", dtype=np.bool_)


def query_clusters(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return the number of each response's query, (N,); a response without a query is a cluster of its own."""
    codes, names = pd.factorize(_queries(frame))
    own = len(names) + np.arange(len(frame))
    return np.where(is_without_query(frame), own, codes).astype(np.int64)


def _queries(frame: pd.DataFrame) -> "pd.Series[str]":
    return frame["query"].fillna("").astype(str).str.strip()


def figures(scores: Scores) -> dict[str, object]:
    """Return the counts of a run, its mean with a 95% interval and what makes it uncertain, and odd responses."""
    known = scores.score[~np.isnan(scores.score)]
    n_windows, n_failed = int(scores.windows.sum()), int(scores.windows_failed.sum())
    mean = scores.mean
    return {
        "n": len(scores.score),
        "scored": len(known),
        "not_converged": int(scores.not_converged.sum()),
        "mean": mean.mean,
        "mean_se": mean.se,
        "mean_low": mean.low,
        "mean_high": mean.high,
        "mean_errors": {"responses": mean.responses_se, "beta": mean.beta_se, "anchors": mean.anchors_se},
        "beta_shift": mean.beta_shift,
        "clusters": mean.clusters,
        "population_sd": mean.population_sd,
        "mean_of_scores": float(known.mean()) if len(known) else np.nan,
        "sd": float(known.std(ddof=1)) if len(known) > 1 else np.nan,
        "anchors": asdict(scores.line),
        "misfit": int(scores.misfit.sum()),
        "far_from_anchors": int(scores.far.sum()),
        "windows": n_windows,
        "windows_failed": n_failed,
        "share_failed": n_failed / n_windows if n_windows else np.nan,
    }


def judge_check(scores: Scores) -> dict[str, object]:
    """Return whether the judge, or any of a panel, was shown to order the anchors, and what happened otherwise."""
    records = [record for record in scores.judges if record.reliability.passed is False]
    return {
        "passed": scores.reliability.passed,
        "z": scores.reliability.order_z,
        "scored": bool(np.isfinite(scores.score).any()),
        "judges_failed": [record.name for record in records],
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
