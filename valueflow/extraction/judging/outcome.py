"""What a judging leaves: a file of utilities."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from valueflow.extraction.judging.display import show_judging
from valueflow.run import Outcome


@dataclass(frozen=True, kw_only=True)
class Utilities(Outcome):
    """Where the utilities are; they may be more than memory holds.

    Attributes
    ----------
    file
        Parquet: `row` (of the input, counted from 1 below the header), `{value}_utility` on the judge's own scale, and
        where the judge is shown to order a value's anchors `{value}_intensity` in points; float32, in the order of the
        input, NaN where the judge failed. `pandas.read_parquet(file)` reads it.
    summary
        By value the columns, failures, mean utility, and half width of 90% intervals of intensities; failures by
        reason, judge, anchors, what judging took, settings, versions, timings.
    """

    file: Path

    def outputs(self) -> Mapping[str, None]:
        """Return the name of the file, which is written while texts are judged."""
        return {self.file.name: None}

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the figures by value, for loggers; the utilities are in the file."""
        return {"values": pd.DataFrame([_flat(record) for record in self.summary["values"]])}

    def show(self) -> None:
        """Print the table for a person."""
        show_judging(self.summary)


def _flat(record: Mapping[str, object]) -> dict[str, object]:
    return {key: entry for key, entry in record.items() if not isinstance(entry, Mapping)}
