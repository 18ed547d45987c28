"""The settings of `extract.py task=geometry`; `configs/extract.yaml` holds their defaults and describes them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from valueflow.run import BadRowPolicy, PositiveInt, Seed, Settings
from valueflow.theory import Theory, load_theory, theory_from_file, theory_of

_DEFAULT_THEORY = "pvq"


def _theory(given: Any) -> Any:
    """Return the theory of a composed `theory` node; None is the default one."""
    if given is None or isinstance(given, str):
        return load_theory(given or _DEFAULT_THEORY)
    if not isinstance(given, Mapping):
        return given
    if "file" in given and "name" not in given:
        return theory_from_file(str(given["file"]))
    return theory_of(given, None)


class GeometrySettings(Settings):
    """Which vectors are compared with which theory."""

    task: Literal["geometry"]
    theory: Annotated[Theory, BeforeValidator(_theory)]
    vectors: str | None
    model: str
    batch_size: PositiveInt
    vidb: str
    vidb_columns: dict[str, str | None]
    on_bad_row: BadRowPolicy
    permutations: PositiveInt
    seed: Seed
    progress: bool
