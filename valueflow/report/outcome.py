"""What a report leaves in its folder: the page, and the table of comparisons behind it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from valueflow.report.display import show_reports
from valueflow.report.effects import COMPARISON_FILE
from valueflow.report.paper import PaperFigure
from valueflow.run import Outcome, replacing

REPORT_FILE = "report.html"


@dataclass(frozen=True, kw_only=True)
class Report(Outcome):
    """A page about finished runs.

    Attributes
    ----------
    html
        The page.
    comparison
        All differences and slopes that its tables are of; empty where nothing could be compared.
    figures
        Those of the paper that the runs have something for, where they are asked for.
    summary
        What it is about, its sections and size, versions, timings.
    """

    html: str
    comparison: pd.DataFrame
    figures: Sequence[PaperFigure] = ()

    def outputs(self) -> "Mapping[str, pd.DataFrame | Callable[[Path], object] | None]":
        """Return the page, the table, and the figures of the paper."""
        figures = {name: output for figure in self.figures for name, output in figure.outputs().items()}
        return {REPORT_FILE: self._write, COMPARISON_FILE: self.comparison, **figures}

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the table where it has rows, for loggers."""
        return {} if self.comparison.empty else {"comparison": self.comparison}

    def show(self) -> None:
        """Say where the page is."""
        show_reports([self.summary])

    def _write(self, path: Path) -> None:
        with replacing(path) as temporary:
            temporary.write_text(self.html, encoding="utf-8")
