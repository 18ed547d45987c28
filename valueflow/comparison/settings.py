"""The settings of a comparison; `configs/compare.yaml` holds their defaults and describes them."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from valueflow.comparison.ratings import COLUMNS
from valueflow.run import BadRowPolicy, Intensity, Seed, Settings, folder_list, known_columns


class ComparisonSettings(Settings):
    """What is compared with what."""

    folders: Annotated[list[str], Field(min_length=1), BeforeValidator(folder_list)]
    reference: Literal["auto", "all"] | Intensity
    pairs: Literal["reference", "all"]
    human: str | None
    human_columns: Annotated[dict[str, str], known_columns(*COLUMNS)]
    on_bad_row: BadRowPolicy
    permutations: Annotated[int, Field(ge=99, le=1_000_000, strict=True)]
    seed: Seed
