"""What the jobs of a sweep tell of their judge together: the points of one dose-response curve share one beta.

Jobs of the same judge, theory, value and window size are pooled once all of them are done, from the rankings that they
have written. So neither the order in which jobs ran, nor how many at once, nor an interruption changes a figure.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.evaluation.calibration import with_misreading
from valueflow.evaluation.judges import JudgeFit, fit_judges
from valueflow.evaluation.outcome import RANKINGS_FILE, SCORES_FILE, query_clusters, score_figures, scores_table
from valueflow.evaluation.rankings import ranked_windows, read_rankings
from valueflow.evaluation.scoring import score_windows
from valueflow.judge import RankedWindows
from valueflow.responses import IDENTITY, PRICE
from valueflow.run import SUMMARY_FILE, BadRows, plain, read_record, write_csv, write_json

Summary = Mapping[str, Any]


def pool_judges(jobs: Mapping[Path, Summary]) -> dict[Path, Summary]:
    """Score the finished jobs of a sweep again, with each judge learned from all jobs that it served for one value.

    Parameters
    ----------
    jobs
        Summaries by folder; `scores.csv` and `summary.json` there are replaced where a judge is pooled.

    Returns
    -------
    dict
        The summaries, those of pooled jobs with their new figures.
    """
    groups: dict[str, list[Path]] = defaultdict(list)
    for job, summary in jobs.items():
        if summary["settings"]["estimator"] == "map" and _rankings_of(job, summary).is_file():
            groups[_judge_key(summary)].append(job)
    pooled = {job: summary for members in groups.values() if len(members) > 1 for job, summary in _pool(members, jobs)}
    return {job: pooled.get(job, summary) for job, summary in jobs.items()}


def _judge_key(summary: Summary) -> str:
    """Name what must be equal for a judge to have one beta: itself, its task, and the windows it sees."""
    judge = {key: entry for key, entry in _judge_of(summary).items() if key not in ("anchors", "anchors_repeated")}
    names = [record["name"] for record in summary.get("judges", [])]
    return json.dumps([judge, summary["theory"], summary["value"], summary["settings"]["k"], names], sort_keys=True)


def _judge_of(summary: Summary) -> Summary:
    """Return what identifies a judge. Saved rankings name theirs only where the summary of their run is beside them."""
    if not summary["rankings"]:
        return dict(summary["judge"])
    file = Path(summary["rankings"])
    run = read_record(file.with_name(SUMMARY_FILE)) if file.name == RANKINGS_FILE else None
    judge = None if run is None or run.get("rankings") else run.get("judge")
    # Files of unknown judges may be of different ones.
    return judge if isinstance(judge, dict) else {"file": str(file)}


def _rankings_of(job: Path, summary: Summary) -> Path:
    return Path(summary["rankings"]) if summary["rankings"] else job / RANKINGS_FILE


def _bad_rows(summary: Summary) -> BadRows:
    """Return what became of bad rows when the job was scored."""
    return BadRows(summary["settings"].get("on_bad_row", "fail"))


def _is_of_responses(column: object) -> bool:
    """Return whether a column of scores was the responses' own: pooling leaves it as it is."""
    return column in (*IDENTITY, *PRICE)


def _pool(members: list[Path], jobs: Mapping[Path, Summary]) -> list[tuple[Path, Summary]]:
    frames = [
        pd.read_csv(job / SCORES_FILE, usecols=_is_of_responses, dtype=str, keep_default_na=False) for job in members
    ]
    tables = [read_rankings(_rankings_of(job, jobs[job]), _bad_rows(jobs[job])) for job in members]
    starts = np.cumsum([0, *(len(frame) for frame in frames)])
    whole = pd.concat(
        [
            table.assign(row_idx=pd.to_numeric(table["row_idx"]).astype(np.int64) + start)
            for table, start in zip(tables, starts, strict=False)
        ],
        ignore_index=True,
    )
    windows = ranked_windows(whole, str(members[0].parent))
    fits = [_named_pooled(fit) for fit in fit_judges(windows[_first_of_each(whole, tables)])]
    first = 0
    found = []
    for job, frame, table, start in zip(members, frames, tables, starts, strict=False):
        own = windows[np.arange(first, first + len(table))]
        first += len(table)
        own = own.with_responses(own.responses - start)
        summary = _scored_again(job, jobs[job], frame, own, fits, len(members))
        found.append((job, summary))
    return found


def _first_of_each(whole: pd.DataFrame, tables: list[pd.DataFrame]) -> npt.NDArray[np.bool_]:
    """Return which rows of the joined tables no earlier table has: jobs that differ in `point` share their rankings."""
    job = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    content = whole.drop(columns="row_idx").astype(str).assign(job=job)
    columns = [str(column) for column in content.columns if column != "job"]
    # A job can hold the same ranking several times.
    content["repeat"] = content.groupby(["job", *columns], sort=False).cumcount()
    return ~content.duplicated([*columns, "repeat"]).to_numpy()


def _named_pooled(fit: JudgeFit) -> JudgeFit:
    known = fit.reliability.source == "estimated"
    return replace(fit, reliability=replace(fit.reliability, source="pooled")) if known else fit


def _scored_again(
    job: Path, before: Summary, frame: pd.DataFrame, windows: RankedWindows, fits: list[JudgeFit], n_jobs: int
) -> Summary:
    settings, calibration = before["settings"], before.get("calibration")
    if calibration is not None:
        fits = list(with_misreading(fits, windows.judge_names, calibration["misreading_sd"]))
    scores = score_windows(
        windows,
        len(frame),
        estimator="map",
        point=settings["point"],
        solver=settings["solver"],
        max_iter=settings["iter"],
        learning_rate=settings["lr"],
        judge_check=settings["judge_check"],
        clusters=query_clusters(frame),
        fits=fits,
    )
    # As it is read back: a sweep's table is the same when it is resumed.
    summary: Summary = plain({**before, **score_figures(scores), "pooled_jobs": n_jobs})
    write_csv(scores_table(frame, before["value"], scores), job / SCORES_FILE)
    write_json(summary, job / SUMMARY_FILE)
    return summary
