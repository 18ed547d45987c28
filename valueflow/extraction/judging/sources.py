"""Where the figures of a chunk come from: a judge in this process, actors of Ray, or what shards have left."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from valueflow.evaluation import ValueLine
from valueflow.extraction.engines import RayEngine
from valueflow.extraction.judging.asking import JudgeRecipe, judge_texts
from valueflow.extraction.judging.columns import UTILITIES_FILE, intensity_column, utility_column
from valueflow.extraction.judging.parquet import Figures, UtilityReader
from valueflow.extraction.ray_chunks import Made
from valueflow.extraction.reading import Chunk, TextFile
from valueflow.judge import TextJudge, for_stream
from valueflow.run import InputError, Progress, ShardFolder, Share, owners


class Making(Protocol):
    """Makes utilities of a chunk."""

    def __call__(self, chunk: Chunk, advance: Progress) -> Made:
        """Return `utility` (N, V) and the record of `judge_texts`; tell of each text on each value."""
        ...


class Source(Protocol):
    """Gives the figures of chunks, one after another.

    Attributes
    ----------
    columns
        Names of C columns of figures.
    """

    columns: tuple[str, ...]

    def figures(self, chunk: Chunk, advance: Progress) -> tuple[Figures, Mapping[str, Any]]:
        """Return the figures (N, C) of the next N texts of the input, NaN where one is missing, and their record."""
        ...


class JudgedTexts:
    """Utilities of V values, and intensities of those that have a line.

    Parameters
    ----------
    make
        Makes the utilities.
    values
        Ids of the values.
    lines
        By value.
    """

    def __init__(self, make: Making, values: Sequence[str], lines: Mapping[str, ValueLine]) -> None:
        self._make = make
        self._lines = [(place, lines[value]) for place, value in enumerate(values) if value in lines]
        self.columns = (*map(utility_column, values), *(intensity_column(value) for value in values if value in lines))

    def figures(self, chunk: Chunk, advance: Progress) -> tuple[Figures, Mapping[str, Any]]:
        """See `Source`."""
        made = self._make(chunk, advance)
        utility = made.arrays["utility"]
        intensities = [line.at(chunk.texts, utility[:, place]) for place, line in self._lines]
        return np.column_stack([utility, *intensities]).astype(np.float32), made.record


class JoinedTexts:
    """What the judge of every shard has said of its texts; no judge is asked.

    Raises
    ------
    InputError
        The shards have other columns than one another.
    """

    def __init__(self, shards: Sequence[ShardFolder], readers: Sequence[UtilityReader]) -> None:
        self.columns = readers[0].columns
        self._readers = readers
        for found, reader in zip(shards, readers, strict=True):
            if reader.columns != self.columns:
                other = sorted({*reader.columns} ^ {*self.columns})
                raise InputError(
                    f"merge: of shards {shards[0].shard} and {found.shard} one has no {', '.join(other)}, since their "
                    "judges read the anchors otherwise; run one again, or all with regression=false"
                )

    def figures(self, chunk: Chunk, advance: Progress) -> tuple[Figures, Mapping[str, Any]]:
        """See `Source`; the record is empty, as that of all texts is in the summaries of the shards."""
        figures = np.empty((len(chunk.texts), len(self.columns)), dtype=np.float32)
        rows = np.array(chunk.rows)
        of = owners(chunk.keys(), len(self._readers))
        for number, reader in enumerate(self._readers, start=1):
            own = of == number
            try:
                found, figures[own] = reader.take(int(own.sum()))
                if not np.array_equal(found, rows[own]):
                    raise ValueError("it is about other rows")
            except (ValueError, OSError, pa.ArrowException) as error:
                raise _damaged(f"shard {number}/{len(self._readers)}", error) from error
        advance(len(chunk.texts) * sum(column.endswith(utility_column("")) for column in self.columns), 0)
        return figures, {}


@contextmanager
def joined_texts(shards: Sequence[ShardFolder]) -> Iterator[JoinedTexts]:
    """Open the files of all shards of a run, in their order.

    Raises
    ------
    InputError
        One is not there or damaged, or the shards have other columns than one another.
    """
    with ExitStack() as stack:
        readers = []
        for found in shards:
            path = found.path / UTILITIES_FILE
            try:
                readers.append(UtilityReader(stack.enter_context(pq.ParquetFile(path))))
            except (ValueError, OSError, pa.ArrowException) as error:
                raise _damaged(f"{path} of shard {found.shard}", error) from error
        yield JoinedTexts(shards, readers)


def _damaged(what: str, error: Exception) -> InputError:
    return InputError(f"merge: the utilities of {what} cannot be read ({error}); run that shard again")


def in_this_process(judge: TextJudge, recipe: JudgeRecipe) -> Making:
    """Have a judge in this process read chunks."""
    reading = partial(judge_texts, for_stream(judge), recipe.criteria)
    return lambda chunk, advance: reading(chunk.texts, advance)


@contextmanager
def by_actors(engine: RayEngine, recipe: JudgeRecipe, file: TextFile, share: Share) -> Iterator[Making]:
    """Have actors read chunks, while Ray is running."""
    with engine.made(recipe, file, share) as chunks:

        def make(chunk: Chunk, advance: Progress) -> Made:
            made = chunks.of(chunk)
            utility = made.arrays["utility"]
            advance(utility.size, int(np.isnan(utility).sum()))
            return made

        yield make
