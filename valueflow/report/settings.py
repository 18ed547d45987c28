"""The settings of a report; `configs/report.yaml` holds their defaults and describes them."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from valueflow.run import PositiveInt, Settings, folder_list


class ReportSettings(Settings):
    """Which folders are reported on, and how much of them the page holds."""

    folders: Annotated[list[str], Field(min_length=1), BeforeValidator(folder_list)]
    per_cell: PositiveInt | None
    longest: Annotated[int, Field(ge=20, strict=True)]
    megabytes: Annotated[float, Field(gt=0, le=100)]
    figures: Literal["none", "paper"]
    progress: bool
