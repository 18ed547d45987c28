"""Where texts are embedded: in this process and its own, or by actors of Ray."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Annotated

from pydantic import Field, field_validator

from valueflow.extraction.embedding import Encoding
from valueflow.extraction.ray_vectors import RayVectors, check_gpus, ray_running, ray_vectors
from valueflow.extraction.reading import TextFile
from valueflow.run import InputError, PositiveInt, Settings, Share

_HOST_AND_PORT = re.compile(r"\[?([^\s\[\]/]+?)\]?:(\d{1,5})")

_SECONDS_TO_ANSWER = 20
"""For the machine of a cluster; Ray itself would try for minutes and say nothing."""


class LocalEngine(Settings):
    """A model in this process, or a process for each of several `devices`."""


class RayEngine(Settings):
    """Actors of Ray Data, each with the model.

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
    def vectors(self, model: str, encoding: Encoding, file: TextFile, share: Share) -> Iterator[RayVectors]:
        """Let actors embed what a run is about, while the block takes the vectors.

        Raises
        ------
        InputError
            There is no such cluster, this machine has no such GPUs, or what `embedder` and the file say.
        """
        with ray_running(self.address, self.actors):
            check_gpus(self.gpus, is_cluster=self.address is not None)
            with ray_vectors(model, encoding, file, share, actors=self.actors, gpus=self.gpus) as found:
                yield found
