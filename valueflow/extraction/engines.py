"""Where texts are embedded or judged: in this process and its own, or by actors of Ray."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Annotated, TypeVar

from pydantic import Field, field_validator

from valueflow.extraction.ray_chunks import MadeChunks, Recipe, ray_call, ray_chunks
from valueflow.extraction.ray_running import check_gpus, ray_running
from valueflow.extraction.reading import Chunk, TextFile
from valueflow.run import InputError, PositiveInt, Settings, Share

FoundT = TypeVar("FoundT")

_HOST_AND_PORT = re.compile(r"\[?([^\s\[\]/]+?)\]?:(\d{1,5})")

_SECONDS_TO_ANSWER = 20
"""For the machine of a cluster; Ray itself would try for minutes and say nothing."""


class LocalEngine(Settings):
    """A model in this process, or, to embed, a process for each of several `devices`."""


class RayEngine(Settings):
    """Actors of Ray Data, each with the model or judge.

    Attributes
    ----------
    actors
        How many.
    gpus
        GPUs that each takes, a part of one if below 1, else a whole number; 0: the CPU.
    address
        Of a running cluster, `auto` or `HOST:PORT`; None starts Ray on this machine for the run.
    """

    actors: PositiveInt
    gpus: Annotated[float, Field(ge=0)]
    address: str | None

    @field_validator("gpus")
    @classmethod
    def _check_gpus(cls, gpus: float) -> float:
        if gpus > 1 and not gpus.is_integer():
            raise ValueError("Ray takes a part of one GPU or a whole number of them; give 0.5, 1 or 2")
        return gpus

    @field_validator("address")
    @classmethod
    def _check_address(cls, address: str | None) -> str | None:
        if address is not None and address.startswith("ray://"):
            raise ValueError(
                "ray:// is Ray's client, which Ray Data does not work through; start the run on a machine of "
                "the cluster and give auto or HOST:PORT"
            )
        if address not in (None, "auto") and not _HOST_AND_PORT.fullmatch(address):
            raise ValueError("is neither auto nor HOST:PORT; null starts Ray on this machine")
        return address

    def check(self) -> None:
        """Stop where Ray is not installed, or nothing answers at the address."""
        if find_spec("ray") is None:
            raise InputError(
                "engine=ray: Ray is not installed; pip install 'valueflow[ray-data]', or give engine=local"
            )
        named = _HOST_AND_PORT.fullmatch(self.address or "")
        if named is not None:
            try:
                socket.create_connection((named[1], int(named[2])), timeout=_SECONDS_TO_ANSWER).close()
            except (OSError, OverflowError) as error:
                raise InputError(
                    f"engine.address={self.address}: there is no cluster of Ray to connect to ({error})"
                ) from error

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have Ray run, while the block gives it work.

        Raises
        ------
        InputError
            There is no such cluster, or this machine has no such GPUs.
        """
        with ray_running(self.address, self.actors):
            check_gpus(self.gpus, is_cluster=self.address is not None)
            yield

    def call(self, function: Callable[[], FoundT]) -> FoundT:
        """Call a function once where an actor would work, while Ray is `running`; errors are those it raises."""
        return ray_call(function, gpus=self.gpus)

    @contextmanager
    def made(self, recipe: Recipe, file: TextFile, share: Share, *, first: Chunk | None = None) -> Iterator[MadeChunks]:
        """Let actors work on what a run is about, while Ray is `running` and the block takes what they make."""
        with ray_chunks(recipe, file, share, first=first, actors=self.actors, gpus=self.gpus) as chunks:
            yield chunks
