"""Which figures of the paper the given runs have something for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from valueflow.comparison import Comparison
from valueflow.evaluation import arrows, draw_arrows, several_values
from valueflow.report.cells import Cell
from valueflow.report.paper import drawings, tables
from valueflow.report.reading import Found
from valueflow.run import PICTURE_FORMATS

FIGURES_FOLDER = "figures"

Draw = Callable[[pd.DataFrame, Path], None]


@dataclass(frozen=True, eq=False)
class PaperFigure:
    """A figure: its name, the table that it shows, and what draws it."""

    name: str
    table: pd.DataFrame
    draw: Draw

    def outputs(self) -> dict[str, pd.DataFrame | Callable[[Path], object]]:
        """Return what it leaves in a report's folder, by name."""
        pictures = {
            f"{FIGURES_FOLDER}/{self.name}.{suffix}": partial(self.draw, self.table) for suffix in PICTURE_FORMATS
        }
        return {f"{FIGURES_FOLDER}/{self.name}.csv": self.table, **pictures}


def paper_figures(found: Found, cells: Sequence[Cell], comparison: Comparison | None) -> list[PaperFigure]:
    """Return the figures that runs have something for.

    Parameters
    ----------
    found, cells
        All runs, and the evaluations among them.
    comparison
        Of the evaluations, where they can be compared.
    """
    several = several_values([cell.summary for cell in cells])
    many = several[several["targets"].str.count(r"\s+") > 1] if len(several) else several
    figures = (
        PaperFigure("steerability", tables.steerability(cells, comparison), drawings.draw_steerability),
        PaperFigure("value_wise", tables.value_wise(cells), drawings.draw_value_wise),
        PaperFigure("two_values", arrows(several), draw_arrows),
        PaperFigure("several_values", many, drawings.draw_asked_and_got),
        PaperFigure("hives", tables.trainings(found.of("train")), drawings.draw_trainings),
        PaperFigure("opinionqa", tables.surveys(found.of("opinionqa")), drawings.draw_surveys),
    )
    return [figure for figure in figures if not figure.table.empty]
