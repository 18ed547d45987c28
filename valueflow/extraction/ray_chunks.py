"""What actors of Ray Data make of the chunks of a file, in the order of the input.

A row of the dataset is a whole chunk of texts, so that a batch of a model is made up as in this process. One task, on
the machine where the command runs, reads the file; what the actors return is taken as it is needed.
"""

import io
import json
import logging
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from valueflow.extraction.reading import Chunk, TextFile, own_chunks
from valueflow.run import InputError, Share, plain

_BYTES_UNDER_WAY = 64 << 20
"""Texts and arrays that wait in Ray's memory at most, for each actor and the reader; then reading pauses."""

FoundT = TypeVar("FoundT")


@dataclass(frozen=True)
class Made:
    """What was made of N texts.

    Attributes
    ----------
    arrays
        By name, each with a row for every text, (N, ...).
    record
        What else is to be said of them, as JSON can hold it.
    """

    arrays: Mapping[str, npt.NDArray[Any]]
    record: Mapping[str, Any] = field(default_factory=dict)


class Recipe(Protocol):
    """How a process comes by what makes something of texts.

    It travels to actors, perhaps on other machines: so it holds settings and arrays, and neither models nor secrets.
    """

    def opened(self, *, on_gpu: bool) -> AbstractContextManager[Callable[[list[str]], Made]]:
        """Load what is needed, while the block has texts made into something.

        Raises
        ------
        InputError
            The settings cannot be used.
        """
        ...


class MadeChunks:
    """What actors make of the chunks of a file, one after another."""

    def __init__(self, rows: Iterator[Mapping[str, Any]]) -> None:
        self._rows = rows

    def of(self, chunk: Chunk) -> Made:
        """Return what was made of the next chunk, which must be this one.

        Raises
        ------
        InputError
            The file has changed while it was read, or an actor cannot use its settings.
        """
        row = next(self._rows)
        if row["fault"]:
            raise InputError(row["fault"])
        if (row["start"], row["texts"]) != (chunk.rows[0], len(chunk.texts)):
            raise RuntimeError(f"Ray returned {row['texts']} texts from row {row['start']}, not those of the chunk")
        arrays = {name: _array(content) for name, content in zip(row["names"], row["arrays"], strict=True)}
        return Made(arrays, json.loads(row["record"]))


@contextmanager
def ray_chunks(
    recipe: Recipe, file: TextFile, share: Share, *, first: Chunk | None = None, actors: int, gpus: float
) -> Iterator[MadeChunks]:
    """Let actors work on what a run is about, while the block takes what they make; Ray must be running.

    Parameters
    ----------
    recipe
        What each actor opens once; it works in the folder where the command does, if its machine has that.
    file, share
        The texts, and which of them the run is about.
    first
        A chunk that goes before those of the file.
    actors, gpus
        How many actors, and GPUs that each takes.
    """
    import ray
    import ray.data

    _quiet()
    here = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False  # there is one already
    context.target_max_block_size = 1  # a chunk is a block, and is on its way as soon as it is read
    context.execution_options.preserve_order = True
    limits = context.execution_options.resource_limits
    context.execution_options.resource_limits = limits.copy(object_store_memory=_BYTES_UNDER_WAY * (actors + 1))
    with ray.data.DataContext.current(context):
        dataset = (
            ray.data.from_items([{"file": 0}])
            .map_batches(
                partial(_read, file.anywhere(), share, first), batch_format="pyarrow", num_cpus=0, label_selector=here
            )
            .map_batches(
                _Actor,
                fn_constructor_args=(recipe, str(Path.cwd()), gpus > 0),
                batch_size=1,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(size=actors),
                num_cpus=1,
                num_gpus=gpus,
            )
        )
        with closing(_rows(dataset)) as rows:
            yield MadeChunks(rows)


def ray_call(function: Callable[[], FoundT], *, gpus: float) -> FoundT:
    """Call a function once in a process of Ray's, as an actor works, and return what it does; Ray must be running.

    Raises
    ------
    InputError
        What the function raises.
    """
    import ray

    _quiet()
    # A process of its own: whatever it has loaded ends with it, and its GPU is free for the actors.
    remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0, max_calls=1)(_called)
    found, fault = ray.get(remote.remote(function, str(Path.cwd()), gpus > 0))
    if fault:
        raise InputError(fault)
    return found  # type: ignore[no-any-return]


def _called(function: Callable[[], FoundT], folder: str, on_gpu: bool) -> tuple[FoundT | None, str]:
    _settle(folder, on_gpu=on_gpu)
    try:
        return function(), ""
    except InputError as error:
        return None, str(error)


def _settle(folder: str, *, on_gpu: bool) -> None:
    """Make a process of Ray's work where the command does: names of folders mean the same, and GPUs are as asked."""
    with suppress(OSError):
        os.chdir(folder)
    if not on_gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _quiet() -> None:
    for name in ("ray.data", "ray"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _rows(dataset: Any) -> Generator[Mapping[str, Any], None, None]:
    for batch in dataset.iter_batches(batch_size=1, batch_format="pyarrow"):
        yield from batch.to_pylist()


def _read(file: TextFile, share: Share, first: Chunk | None, _: pa.Table) -> Iterator[pa.Table]:
    """Give out chunks as rows; a fault of the file is the last row."""
    try:
        for chunk in chain([] if first is None else [first], own_chunks(file, share)):
            yield _row(start=chunk.rows[0], texts=chunk.texts)
    except InputError as error:
        yield _row(start=0, texts=[], fault=str(error))


def _row(*, start: int, texts: list[str], fault: str = "") -> pa.Table:
    return pa.table(
        {
            "start": [start],
            "texts": pa.array([texts], pa.large_list(pa.large_string())),
            "fault": [fault],
        }
    )


class _Actor:
    """A process of Ray's; what its settings cannot be used for is a row's fault, told by whoever reads."""

    def __init__(self, recipe: Recipe, folder: str, on_gpu: bool) -> None:
        self._fault = ""
        _settle(folder, on_gpu=on_gpu)
        try:
            self._make = ExitStack().enter_context(recipe.opened(on_gpu=on_gpu))
        except InputError as error:
            self._fault = str(error)

    def __call__(self, table: pa.Table) -> pa.Table:
        (row,) = table.to_pylist()
        fault, made = row["fault"] or self._fault, Made({})
        if not fault:
            try:
                made = self._make(row["texts"])
            except InputError as error:
                fault = str(error)
        return pa.table(
            {
                "start": [row["start"]],
                "fault": [fault],
                "texts": [len(row["texts"])],
                "names": pa.array([list(made.arrays)], pa.list_(pa.string())),
                "arrays": pa.array([[_content(array) for array in made.arrays.values()]], pa.list_(pa.large_binary())),
                "record": [json.dumps(plain(made.record))],
            }
        )


def _content(array: npt.NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _array(content: bytes) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    return array
