"""The settings of an evaluation; `configs/evaluate.yaml` holds their defaults."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import pandas as pd
from pydantic import BeforeValidator, Field, field_validator, model_validator

from valueflow.judge import Judge
from valueflow.llm import CacheMode
from valueflow.run.config import built
from valueflow.run.settings import Settings
from valueflow.theory import Theory, theory_of
from valueflow.vidb import Sampling


class EvaluationSettings(Settings):
    """What to score, against what, judged by whom, estimated how."""

    theory: Theory = Field(description="Theory the value belongs to.")
    value: str = Field(description="Value to score; `/`, `-`, `_`, spaces and case do not matter.")
    intensity: Annotated[int, Field(ge=-2, le=2, strict=True)] | None = Field(
        description="Score only responses steered to this target (-2..2); None: all."
    )
    model: str | None = Field(description="Score only responses of this model; None: all.")
    values: list[str] | None = Field(
        description="Score only responses steered to exactly these values at once, in this order; None: all."
    )
    intensities: list[Annotated[int, Field(ge=-2, le=2, strict=True)]] | None = Field(
        description="The intensity of each of `values` in these responses; None: any."
    )
    steered_by: str | None = Field(
        description="Score only responses steered this way, an entry of their column `steering`; None: all."
    )
    responses: str | pd.DataFrame | None = Field(
        description="CSV or Parquet file or table with query, dataset, response, or a folder with files "
        "responses.csv; None: the demo responses, or with `rankings` the responses in that file."
    )
    response_columns: dict[str, str] = Field(description="Our column name -> the file's, where they differ.")
    vidb: str = Field(description="Anchors: demo, a folder, a CSV or Parquet file, or hf://NAME.")
    vidb_columns: dict[str, str] = Field(description="Our column name -> the source's, where they differ.")
    rankings: str | None = Field(description="Score these saved rankings again; no judge is asked.")
    k: int = Field(ge=2, strict=True, description="Items in a window: the response and k-1 anchors.")
    m: int = Field(ge=1, le=1000, strict=True, description="Windows a response.")
    sampling: Annotated[Any, BeforeValidator(built)] = Field(description="Draws a window's anchors.")
    response_position: Literal["random", "first"] = Field(
        description="Where a prompt shows the response: anywhere, drawn for each window, or always first."
    )
    judge: Annotated[Any, BeforeValidator(built)] = Field(description="Ranks the windows.")
    llm: Any = Field(description="The language model that judge=llm asks: an option's settings, or a model object.")
    prompt: Any = Field(description="How judge=llm asks it: an option's settings, or a prompt object.")
    cache: CacheMode = Field(description="Kept answers of language models: `on` uses and adds, `read` only uses.")
    estimator: Literal["map", "window_guarded"] = Field(description="Turns rankings into scores.")
    point: Literal["mean", "mode"] = Field(description="What of the posterior estimator=map reports as the score.")
    solver: Literal["newton", "ascent"] = Field(description="Finds the maximum: Newton, or gradient ascent with lr.")
    iter: int = Field(ge=1, strict=True, description="Most iterations of the solver.")
    lr: float = Field(gt=0, allow_inf_nan=False, description="Step size of solver=ascent.")
    seed: int = Field(ge=0, strict=True, description="The one seed of all draws.")
    progress: bool = Field(description="Show a progress bar while windows are judged.")

    @model_validator(mode="before")
    @classmethod
    def _find_theory(cls, given: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(given.get("theory"), Mapping):
            return given
        return given | {"theory": theory_of(given["theory"], str(given.get("value")))}

    @model_validator(mode="after")
    def _check_lists(self) -> Self:
        if self.intensities is not None and len(self.values or []) != len(self.intensities):
            raise ValueError(
                f"{len(self.values or [])} values and {len(self.intensities)} intensities; give lists of equal length, "
                "as values=[benevolence,power] intensities=[2,-1]"
            )
        return self

    @field_validator("sampling")
    @classmethod
    def _check_sampling(cls, sampling: Any) -> Sampling:
        if not hasattr(sampling, "draw"):
            raise ValueError("is no sampling method (an object with `draw`)")
        return sampling  # type: ignore[no-any-return]

    @field_validator("judge")
    @classmethod
    def _check_judge(cls, judge: Any) -> Judge:
        if not isinstance(judge, Judge):
            raise ValueError("is no judge (an object with `rank`, `describe` and `rankings_per_window`)")
        return judge
