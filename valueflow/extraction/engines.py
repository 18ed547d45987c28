"""Where texts are embedded: in this process and its own, or by actors of Ray."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Annotated

from pydantic import Field, field_validator

from valueflow.extraction.embedding import Encoding
from valueflow.extraction.ray_vectors import RayVectors, ray_running, ray_vectors
from valueflow.extraction.reading import TextFile
from valueflow.run import InputError, PositiveInt, Settings, Share


class LocalEngine(Settings):
    """A model in this process, or a process for each of several `devices`."""


class RayEngine(Settings):
    """Actors of Ray Data, each with the model.

    Attributes
    ----------
    actors
        How many.
    gpus
        GPUs that each takes, a part of one if below 1; 0: the CPU.
    address
        Of a running cluster; None starts Ray on this machine for the run.
    """

    actors: PositiveInt
    gpus: Annotated[float, Field(ge=0)]
    address: str | None

    @field_validator("address")
    @classmethod
    def _check_address(cls, address: str | None) -> str | None:
        if address is not None and address.startswith("ray://"):
            raise ValueError(
                "ray:// is Ray's client, which Ray Data does not work through; start the run on a machine of "
                "the cluster and give auto or HOST:PORT"
            )
        return address

    @staticmethod
    def check() -> None:
        """Stop where Ray is not installed."""
        if find_spec("ray") is None:
            raise InputError(
                "engine=ray: Ray is not installed; pip install 'valueflow[ray-data]', or give engine=local"
            )

    @contextmanager
    def vectors(self, model: str, encoding: Encoding, file: TextFile, share: Share) -> Iterator[RayVectors]:
        """Let actors embed what a run is about, while the block takes the vectors.

        Raises
        ------
        InputError
            There is no such cluster, or what `embedder` and the file say.
        """
        with (
            ray_running(self.address, self.actors),
            ray_vectors(model, encoding, file, share, actors=self.actors, gpus=self.gpus) as found,
        ):
            yield found
