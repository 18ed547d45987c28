"""Vectors that actors of Ray Data make, in the order of the input.

A row of the dataset is a whole chunk of texts, so that a batch of the model is made up as in this process. One task, on
the machine where the command runs, reads the file; what the actors return is taken as it is needed.
"""

import logging
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from valueflow.encoder import PROBE, model_source
from valueflow.extraction.embedding import Encoding, embedder
from valueflow.extraction.reading import Chunk, TextFile, own_chunks
from valueflow.run import InputError, Share

Vectors = npt.NDArray[np.float32]

_log = logging.getLogger(__name__)

_BYTES_UNDER_WAY = 64 << 20
"""Texts and vectors that wait in Ray's memory at most, for each actor and the reader; then reading pauses."""

_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_worker_niceness": "0"}
"""Nothing is reported to Ray's makers, its core prints no warnings between a run's lines, and actors that are started
on this machine wait for no other work, as this process does not; by default they would, with niceness 15."""


class RayVectors:
    """What actors make of the chunks of a file, one after another.

    Attributes
    ----------
    dimension
        Length D of a vector.
    devices
        Where the actors work, one entry each.
    window
        Tokens of a text that the model sees; None where it has no bound.
    """

    def __init__(self, rows: Iterator[Mapping[str, Any]], actors: int) -> None:
        self._rows = rows
        first = self._next()  # of the probe
        self.dimension = int(first["dimension"])
        self.devices = (str(first["device"]),) * actors
        self.window: int | None = first["window"]

    def embed(self, chunk: Chunk, advance: Callable[[int], None]) -> Vectors:
        """Return the vectors (N, D) of the next N texts of the input.

        Raises
        ------
        InputError
            The file has changed while it was read, or an actor cannot load the model.
        """
        row = self._next()
        vectors = np.frombuffer(row["vectors"], dtype=np.float32).reshape(-1, self.dimension)
        if (row["start"], len(vectors)) != (chunk.rows[0], len(chunk.texts)):
            raise RuntimeError(f"Ray returned {len(vectors)} vectors from row {row['start']}, not those of the chunk")
        advance(len(vectors))
        return vectors

    def _next(self) -> Mapping[str, Any]:
        row = next(self._rows)
        if row["fault"]:
            raise InputError(row["fault"])
        return row


@contextmanager
def ray_running(address: str | None, actors: int) -> Iterator[None]:
    """Connect to Ray, or start it on this machine; what was started or connected to ends with the block.

    Ray that runs in this process already is used as it is, and goes on.

    Raises
    ------
    InputError
        There is no cluster at the address.
    """
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        import ray

        if ray.is_initialized():
            yield
            return
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address is None:
            # Actors are as many as were asked for, on however few cores.
            cores = max(os.cpu_count() or 1, actors)
            options |= {"address": "local", "num_cpus": cores, "include_dashboard": False}
        else:
            options |= {"address": address}
        try:
            with _printing_nothing():  # the core would print that it prints nothing
                ray.init(**options)
        except (ConnectionError, RuntimeError, ValueError) as error:  # such as a cluster of another version
            if address is None:
                raise
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"engine.address={address}: there is no cluster of Ray to connect to ({reason})"
            ) from error
        try:
            yield
        finally:
            ray.shutdown()
    finally:
        for name, entry in before.items():
            if entry is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = entry


def check_gpus(gpus: float, *, is_cluster: bool) -> None:
    """Say that no machine has as many GPUs as an actor takes, for which Ray waits without a word.

    Parameters
    ----------
    gpus
        That each actor takes.
    is_cluster
        Whether machines may be added; then it is a warning.

    Raises
    ------
    InputError
        This machine has fewer.
    """
    import ray

    most = max((node["Resources"].get("GPU", 0) for node in ray.nodes() if node["Alive"]), default=0)
    if most < gpus:
        lacking = f"engine.gpus={gpus:g}: Ray finds {most:g} GPUs"
        if not is_cluster:
            raise InputError(f"{lacking} on this machine; give at most as many, or 0 for the CPU")
        _log.warning("%s at most on any machine of the cluster now; the run waits until one has them", lacking)


@contextmanager
def _printing_nothing() -> Iterator[None]:
    """Keep what C++ prints off the error stream meanwhile; errors are raised all the same."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def ray_vectors(
    model: str, encoding: Encoding, file: TextFile, share: Share, *, actors: int, gpus: float
) -> Iterator[RayVectors]:
    """Let actors embed what a run is about, while the block takes the vectors; Ray must be running.

    Parameters
    ----------
    model
        What `load_model` takes; a folder must be there on every machine of the cluster.
    encoding
        How the actors make vectors.
    file, share
        The texts, and which of them the run is about.
    actors, gpus
        How many actors, and GPUs that each takes.

    Raises
    ------
    InputError
        What `embedder` says of the model.
    """
    import ray
    import ray.data

    for name in ("ray.data", "ray"):
        logging.getLogger(name).setLevel(logging.ERROR)
    source = model_source(model)
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
                partial(_read, file.anywhere(), share), batch_format="pyarrow", num_cpus=0, label_selector=here
            )
            .map_batches(
                _Actor,
                fn_constructor_args=(str(Path(source).absolute()) if Path(source).is_dir() else model, encoding, gpus),
                batch_size=1,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(size=actors),
                num_cpus=1,
                num_gpus=gpus,
            )
        )
        with closing(_rows(dataset)) as rows:
            yield RayVectors(rows, actors)


def _rows(dataset: Any) -> Generator[Mapping[str, Any], None, None]:
    for batch in dataset.iter_batches(batch_size=1, batch_format="pyarrow"):
        yield from batch.to_pylist()


def _read(file: TextFile, share: Share, _: pa.Table) -> Iterator[pa.Table]:
    """Give out chunks as rows, first a probe that tells of the model; a fault of the file is the last row."""
    try:
        for chunk in chain([Chunk([PROBE], [""], [0])], own_chunks(file, share)):
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
    """A process of Ray's with the model; what the model cannot be used for is a row's fault, told by whoever reads."""

    def __init__(self, model: str, encoding: Encoding, gpus: float) -> None:
        self._fault = ""
        try:
            self._embedder = ExitStack().enter_context(embedder(model, encoding, devices=None if gpus else ["cpu"]))
        except InputError as error:
            self._fault = str(error)

    def __call__(self, table: pa.Table) -> pa.Table:
        (row,) = table.to_pylist()
        fault = row["fault"] or self._fault
        found: dict[str, Any] = {"dimension": 0, "window": None, "device": "", "vectors": b""}
        if not fault:
            made, texts = self._embedder, row["texts"]
            vectors = made.embed(Chunk(texts, [""] * len(texts), [0] * len(texts)), lambda done: None)
            found = {
                "dimension": made.dimension,
                "window": made.window,
                "device": made.devices[0],
                "vectors": vectors.tobytes(),
            }
        return pa.table(
            {
                "start": [row["start"]],
                "fault": [fault],
                "dimension": [found["dimension"]],
                "window": pa.array([found["window"]], pa.int64()),
                "device": [found["device"]],
                "vectors": pa.array([found["vectors"]], pa.large_binary()),
            }
        )
