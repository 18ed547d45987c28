"""The settings of a comparison; `configs/compare.yaml` holds their defaults and describes them."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from valueflow.comparison.ratings import COLUMNS
from valueflow.run import BadRowPolicy, Intensity, Seed, Settings, known_columns


def _as_list(given: object) -> object:
    """Take a single folder for a list of one, and names of digits, which Hydra reads as numbers, as they are."""
    folders = given if isinstance(given, list | tuple) else [given]
    return [str(folder) if isinstance(folder, int) else folder for folder in folders]


class ComparisonSettings(Settings):
    """What is compared with what."""

    folders: Annotated[list[str], Field(min_length=1), BeforeValidator(_as_list)]
    reference: Literal["auto", "all"] | Intensity
    pairs: Literal["reference", "all"]
    human: str | None
    human_columns: Annotated[dict[str, str], known_columns(*COLUMNS)]
    on_bad_row: BadRowPolicy
    permutations: Annotated[int, Field(ge=99, le=1_000_000, strict=True)]
    seed: Seed
