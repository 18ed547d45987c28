"""A table of utilities in Parquet, written and read some rows at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from valueflow.run import replacing

ROWS_PER_GROUP = 1 << 17
"""Rows of a group: a few MB of numbers, and some hundred groups for 10^8 rows."""

ROW_COLUMN = "row"

Figures = npt.NDArray[np.float32]


@contextmanager
def utility_rows(
    path: Path, columns: Sequence[str], about: Mapping[str, str]
) -> Iterator[Callable[[Sequence[int], Figures], None]]:
    """Open a Parquet file to append rows to; it stands at `path` once the block succeeds.

    Groups have `ROWS_PER_GROUP` rows, however many are appended at once, so the same rows make the same file.

    Parameters
    ----------
    path
        Of the file.
    columns
        Names of its C columns beside `row`, single precision each.
    about
        What the file says of itself.

    Yields
    ------
    Callable
        Takes the numbers of the next N rows, and their figures (N, C), NaN where one is missing.
    """
    schema = pa.schema([(ROW_COLUMN, pa.int64()), *((name, pa.float32()) for name in columns)])
    schema = schema.with_metadata(dict(about))
    waiting: list[pa.RecordBatch] = []
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:

        def write(*, all_of_it: bool) -> None:
            nonlocal waiting
            table = pa.Table.from_batches(waiting, schema)
            end = len(table) if all_of_it else len(table) // ROWS_PER_GROUP * ROWS_PER_GROUP
            writer.write_table(table.slice(0, end), row_group_size=ROWS_PER_GROUP)
            waiting = table.slice(end).to_batches()

        def append(rows: Sequence[int], figures: Figures) -> None:
            arrays = [pa.array(np.asarray(rows, dtype=np.int64))]
            arrays += [pa.array(column, pa.float32(), from_pandas=False) for column in figures.T]
            waiting.append(pa.record_batch(arrays, schema=schema))
            if sum(map(len, waiting)) >= ROWS_PER_GROUP:
                write(all_of_it=False)

        yield append
        if waiting:
            write(all_of_it=True)


class UtilityReader:
    """Reads the rows of such a file one after another.

    Attributes
    ----------
    columns
        Names of its C columns beside `row`.

    Raises
    ------
    ValueError, OSError, pyarrow.ArrowException
        There is no such file, or it is damaged.
    """

    def __init__(self, file: pq.ParquetFile) -> None:
        self.columns = tuple(name for name in file.schema_arrow.names if name != ROW_COLUMN)
        self._batches = file.iter_batches(batch_size=1 << 14)
        self._rest: pa.Table = file.schema_arrow.empty_table()

    def take(self, n: int) -> tuple[npt.NDArray[np.int64], Figures]:
        """Return the numbers (n,) and the figures (n, C) of the next n rows, NaN where one is missing.

        Raises
        ------
        ValueError
            There are fewer.
        """
        while len(self._rest) < n:
            batch: Any = next(self._batches, None)
            if batch is None:
                raise ValueError("it ends early")
            self._rest = pa.concat_tables([self._rest, pa.Table.from_batches([batch])])
        table, self._rest = self._rest.slice(0, n), self._rest.slice(n)
        figures = np.empty((n, len(self.columns)), dtype=np.float32)
        for number, name in enumerate(self.columns):
            figures[:, number] = table.column(name).to_numpy()
        return table.column(ROW_COLUMN).to_numpy(), figures
