"""What becomes of rows that cannot be used: the run stops, or they are skipped and listed."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from valueflow.run.errors import shorten

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from valueflow.run.tables import Speaker

BadRowPolicy = Literal["fail", "skip", "clamp"]
"""`fail` stops at the first; `skip` leaves them out; `clamp` moves numbers to the ends of their range, skips others."""

SKIPPED_FILE = "skipped.csv"

_log = logging.getLogger(__name__)


@dataclass
class BadRows:
    """The rows of a run that could not be used.

    Attributes
    ----------
    policy
        What becomes of them.
    skipped
        Those left out so far: `file`, `row`, `column`, `reason`, `cell`.
    clamped
        Numbers moved to an end of their range.
    """

    policy: BadRowPolicy = "fail"
    skipped: list[dict[str, Any]] = field(default_factory=list)
    clamped: int = 0

    def left(
        self,
        frame: "pd.DataFrame",
        where: str,
        *,
        texts: Sequence[str] = (),
        prose: "Mapping[str, Speaker] | None" = None,
        numbers: Mapping[str, tuple[float, float]] | None = None,
    ) -> "pd.DataFrame":
        """Return the rows of a table that can be used; with `fail`, all of them, for the checks that follow to stop at.

        Rows that are left keep the numbers of their file.

        Parameters
        ----------
        frame
            As read, with these columns.
        where
            The file, for the list.
        texts
            Columns in which every row needs a text.
        prose
            Columns in which a row has a text, a list of chat messages with a text of this speaker, or nothing.
        numbers
            Columns in which every row needs a number, with the lowest and highest allowed.
        """
        if self.policy == "fail":
            return frame
        # Imported here: every command loads this module, few have bad rows.
        import numpy as np
        import pandas as pd

        from valueflow.run.tables import ROW, as_numbers, prose_faults, row_number, with_decimal_points

        bad = np.zeros(len(frame), dtype=bool)
        for column in texts:
            self._skip(frame, where, column, ~bad & _is_blank(frame[column]), "the text is missing", bad)
        for column, speaker in (prose or {}).items():
            for place, fault in prose_faults(frame[column], speaker).items():
                if not bad[place]:
                    self.skip(where, row_number(frame, place), column, fault, frame[column].iloc[place])
                    bad[place] = True
        for column, (lowest, highest) in (numbers or {}).items():
            # All rows together say whether commas are decimal points, also to the checks that see only those left.
            frame = frame.assign(**{column: with_decimal_points(frame[column])})
            found = as_numbers(frame[column])
            found = np.where(np.isfinite(found), found, np.nan)
            beyond = (found < lowest) | (found > highest)
            if self.policy == "clamp" and beyond.any():
                self.clamped += int((beyond & ~bad).sum())
                found = np.clip(found, lowest, highest)
                frame = frame.assign(**{column: np.where(beyond, found, frame[column].to_numpy(dtype=object))})
                beyond[:] = False
            self._skip(frame, where, column, ~bad & np.isnan(found), "is not a number", bad)
            self._skip(frame, where, column, ~bad & beyond, f"is not in [{lowest:g}, {highest:g}]", bad)
        if bad.any():
            rows = pd.Index([row_number(frame, place) for place in range(len(frame))], name=ROW)
            frame = frame.set_axis(rows)[~bad]
        return frame

    def _skip(
        self,
        frame: "pd.DataFrame",
        where: str,
        column: str,
        mask: "npt.NDArray[np.bool_]",
        reason: str,
        bad: "npt.NDArray[np.bool_]",
    ) -> None:
        """List the rows of a mask, and add them to those that are bad."""
        from valueflow.run.tables import row_number

        for place in mask.nonzero()[0].tolist():
            self.skip(where, row_number(frame, place), column, reason, frame[column].iloc[place])
        bad |= mask

    def skip(self, where: str, row: int, column: str, reason: str, cell: object) -> None:
        """List a row that is left out."""
        # Arrays have no truth value; no CSV file can hold half a character.
        is_missing = cell is None or (isinstance(cell, float) and cell != cell)
        shown = "" if is_missing else shorten(str(cell).encode("utf-8", "backslashreplace").decode())
        self.skipped.append({"file": where, "row": row, "column": column, "reason": reason, "cell": shown})

    def table(self) -> "pd.DataFrame":
        """Return the rows left out, one each, for `skipped.csv`."""
        import pandas as pd

        return pd.DataFrame(self.skipped, columns=["file", "row", "column", "reason", "cell"])

    def figures(self) -> dict[str, Any]:
        """Return what a summary says of them; empty where no row was touched."""
        if not (self.skipped or self.clamped):
            return {}
        reasons = Counter(f"{entry['column']}: {entry['reason']}" for entry in self.skipped)
        return {"bad_rows": {"skipped": len(self.skipped), "clamped": self.clamped, "reasons": dict(reasons)}}

    def warn(self) -> None:
        """Say once how many rows were left out or changed."""
        if self.skipped:
            _log.warning("%d bad rows are skipped; see %s", len(self.skipped), SKIPPED_FILE)
        if self.clamped:
            _log.warning("%d numbers beyond their range are moved to its end", self.clamped)


def _is_blank(column: "pd.Series[Any]") -> "npt.NDArray[np.bool_]":
    import numpy as np

    present = column.notna().to_numpy()
    values = column.to_numpy(dtype=object)
    return np.array(
        [
            not here or (isinstance(value, str) and not value.strip())
            for value, here in zip(values, present, strict=True)
        ],
        dtype=bool,
    )
