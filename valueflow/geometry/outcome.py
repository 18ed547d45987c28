"""What a geometry leaves: tables of values and of pairs, and a picture."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from valueflow.geometry.display import show_geometries
from valueflow.geometry.picture import draw_geometry
from valueflow.run import PICTURE_FORMATS, Outcome

VALUES_FILE, PAIRS_FILE, PICTURE = "geometry.csv", "cosines.csv", "geometry"

GEOMETRY_OUTPUTS = (VALUES_FILE, PAIRS_FILE, *(f"{PICTURE}.{suffix}" for suffix in PICTURE_FORMATS))
"""Names of all files that a geometry may leave."""


@dataclass(frozen=True, kw_only=True)
class Geometry(Outcome):
    """How the vectors of a theory's values lie to one another.

    Attributes
    ----------
    table
        One row per value; docs/geometry.md describes the columns.
    pairs
        One row per pair of values: cosine with its interval, distance, and the theory's distance.
    summary
        Correlation with the theory's distances, its test, counts, settings, versions, timings.
    """

    table: pd.DataFrame
    pairs: pd.DataFrame

    def outputs(self) -> "Mapping[str, pd.DataFrame | Callable[[Path], object] | None]":
        """Return both tables and the picture."""
        draw = partial(draw_geometry, self.table, self.pairs)
        return {
            VALUES_FILE: self.table,
            PAIRS_FILE: self.pairs,
            **{f"{PICTURE}.{suffix}": draw for suffix in PICTURE_FORMATS},
        }

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return both tables, for loggers."""
        return {"geometry": self.table, "cosines": self.pairs}

    def show(self) -> None:
        """Print the correlation and what limits it."""
        show_geometries([self.summary])
