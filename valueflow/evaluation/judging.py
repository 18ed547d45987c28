"""Windows ranked by the judge of the settings, as arrays and as a table."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from valueflow.evaluation.rankings import rankings_table
from valueflow.evaluation.settings import EvaluationSettings
from valueflow.judge import Criterion, RankedWindows, Windows
from valueflow.run import Run, progress_bar
from valueflow.vidb import Vidb


@dataclass(frozen=True)
class Judged:
    """Ranked windows, as arrays and as a table (None: read from one), and by whom."""

    windows: RankedWindows
    table: pd.DataFrame | None
    description: Mapping[str, object]


def judge_windows(settings: EvaluationSettings, value: str, vidb: Vidb, windows: Windows, run: Run) -> Judged:
    """Have windows ranked."""
    title, times = f"{settings.theory.name}/{value}", settings.judge.rankings_per_window
    steps = "windows" if times == 1 else "rankings"
    with (
        run.stage("judge"),
        progress_bar(title, times * len(windows), steps, enabled=settings.progress) as advance,
    ):
        ranked = settings.judge.rank(Criterion(settings.theory, value, vidb), windows, advance)
    about_anchors = {
        "anchors": len(windows.anchor_set),
        "anchors_repeated": vidb.n_repeated,
        "vidb_sha256": vidb.digest,
    }
    return Judged(
        windows=ranked,
        table=rankings_table(windows, ranked),
        description={**settings.judge.describe(), **about_anchors},
    )
