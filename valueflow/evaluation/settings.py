"""The settings of an evaluation; `configs/evaluate.yaml` holds their defaults and describes them."""

from collections.abc import Collection
from typing import Annotated, Any, Literal, Self

import pandas as pd
from pydantic import Field, model_validator

from valueflow.judge import ConfiguredJudge
from valueflow.llm import CacheMode
from valueflow.run import BadRowPolicy, Intensity, PositiveInt, Seed, Settings
from valueflow.theory import TheorySettings
from valueflow.vidb import ConfiguredSampling

_OF_RESPONSES = {
    "responses",
    "response_columns",
    "rankings",
    "intensity",
    "model",
    "values",
    "intensities",
    "steered_by",
}
_OF_WINDOWS = {"k", "m", "sampling", "response_position"}
_OF_JUDGING = {"judge", "vidb", "vidb_columns", "calibration", *_OF_WINDOWS}
_OF_UTILITIES = {"point", "solver", "iter", "lr"}


class WindowSettings(Settings):
    """How texts are judged: by whom, in which windows; settings of a command that has texts judged extend them."""

    k: Annotated[int, Field(ge=2, strict=True)]
    m: Annotated[int, Field(ge=1, le=1000, strict=True)]
    sampling: ConfiguredSampling
    response_position: Literal["random", "first"]
    judge: ConfiguredJudge
    progress: bool


class EvaluationSettings(WindowSettings, TheorySettings):
    """What to score, against what, judged by whom, estimated how."""

    task: Literal["score", "calibrate"]
    value: str
    intensity: Intensity | None
    model: str | None
    values: list[str] | None
    intensities: list[Intensity] | None
    steered_by: str | None
    responses: str | pd.DataFrame | None
    response_columns: dict[str, str | None]
    vidb: str
    vidb_columns: dict[str, str | None]
    on_bad_row: BadRowPolicy
    rankings: str | None
    calibration: str | None
    llm: Any
    prompt: Any
    cache: CacheMode
    estimator: Literal["map", "regression", "window_guarded"]
    point: Literal["mean", "mode"]
    judge_check: bool
    solver: Literal["newton", "ascent"]
    iter: PositiveInt
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    seed: Seed

    @model_validator(mode="after")
    def _check_lists(self) -> Self:
        if self.intensities is not None and len(self.values or []) != len(self.intensities):
            raise ValueError(
                f"{len(self.values or [])} values and {len(self.intensities)} intensities; give lists of equal length, "
                "as values=[benevolence,power] intensities=[2,-1]"
            )
        return self

    def unused(self, referred: Collection[str]) -> set[str]:
        """Return the keys that have no part in this run."""
        found = super().unused(referred)
        if self.task == "calibrate":
            found |= _OF_RESPONSES
        elif self.rankings is not None:
            found |= _OF_JUDGING
        if self.estimator == "regression":
            found |= _OF_WINDOWS | _OF_UTILITIES
        elif self.solver == "newton":
            found.add("lr")
        return found
