"""The settings of `build_vidb.py`; `configs/build_vidb.yaml` holds their defaults."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

import pandas as pd
from pydantic import BeforeValidator, Field, field_validator, model_validator

from valueflow.categorization import Panel
from valueflow.judge import Judge
from valueflow.llm import CacheMode
from valueflow.llm.templates import check_places
from valueflow.run.config import built
from valueflow.run.errors import nearest
from valueflow.run.settings import Settings
from valueflow.theory import Theory, theory_of

COLUMNS = ("text", "mark")
"""Our columns of the input."""


class CheckWording(Settings):
    """How a panel is asked about a rating. Names in braces are filled in; other braces stand for themselves."""

    system: str = Field(description="The system message; empty for models that take none.")
    question: str = Field(description="Template of the question; holds {text}, {rating} and {options} once.")
    options: dict[str, str] = Field(description="What odd and plausible mean.")
    max_tokens: int = Field(ge=1, strict=True, description="Most tokens of an answer.")
    max_text_bytes: int = Field(ge=20, strict=True, description="Most bytes of a text that are shown.")

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        needed = ("text", "rating", "options")
        check_places("question", self.question, (*needed, "theory", "label", "value", "definition"))
        for place in needed:
            if self.question.count(f"{{{place}}}") != 1:
                raise ValueError(f"question must hold {{{place}}} once")
        if set(self.options) != {"odd", "plausible"}:
            raise ValueError(f"options must explain odd and plausible, not {', '.join(self.options)}")
        return self


class ConstructionSettings(Settings):
    """Which texts become anchors of which value, ranked by whom, calibrated how."""

    theory: Theory = Field(description="Theory the value belongs to.")
    value: str = Field(description="Value to rate; `/`, `-`, `_`, spaces and case do not matter.")
    input: str | pd.DataFrame = Field(description="The texts: a CSV or Parquet file, or a DataFrame.")
    input_columns: dict[str, str] = Field(description="Our column name -> the file's, where they differ.")
    limit: Annotated[int, Field(ge=1, strict=True)] | None = Field(description="Only the first so many rows.")
    k: int = Field(ge=2, strict=True, description="Texts in a window.")
    m: int = Field(ge=2, le=1000, strict=True, description="Windows a text: rounds in which every text appears once.")
    random_rounds: int = Field(ge=2, strict=True, description="How many of the m rounds are random, the first ones.")
    dry_run: bool = Field(strict=True, description="Only plan, and say what it will cost.")
    judge: Annotated[Any, BeforeValidator(built)] = Field(description="Ranks the windows.")
    vidb: str = Field(description="Known anchors that a judge may learn from; a language model needs none.")
    llm: Any = Field(description="The language model that judge=llm asks.")
    prompt: Any = Field(description="How judge=llm asks it.")
    cache: CacheMode = Field(description="Kept answers of language models: `on` uses and adds, `read` only uses.")
    prior_precision: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        description="lambda of the utilities' normal prior; None: chosen from the random rounds."
    )
    calibration: str | pd.DataFrame | None = Field(description="Texts with known ratings: columns text, rating.")
    flag_misfit: float = Field(gt=1, description="An outfit above this sends a text to review.")
    panel: Annotated[Any, BeforeValidator(built)] = Field(
        description="Models that look for odd ratings; None: none do."
    )
    check: CheckWording = Field(description="How the panel is asked.")
    reviewed: str | pd.DataFrame | None = Field(description="A review file with ratings by people.")
    human_weight: float = Field(ge=0, le=1, description="lambda in s* = (1 - lambda) s + lambda h.")
    agree_within: float = Field(ge=0, description="Points between machine and people that still count as agreement.")
    license: str | None = Field(description="Licence of the texts, for the data card.")
    source: str | None = Field(description="Where the texts come from, for the data card.")
    push_to: str | None = Field(description="Name of a dataset on the Hugging Face hub to upload to.")
    seed: int = Field(ge=0, strict=True, description="The one seed of all draws.")
    progress: bool = Field(description="Show a progress bar while windows are judged.")

    @model_validator(mode="before")
    @classmethod
    def _find_theory(cls, given: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(given.get("theory"), Mapping):
            return given
        return given | {"theory": theory_of(given["theory"], str(given.get("value")))}

    @model_validator(mode="after")
    def _check_rounds(self) -> Self:
        if self.random_rounds > self.m:
            raise ValueError(f"random_rounds={self.random_rounds} of m={self.m} rounds; give {self.m} or fewer")
        return self

    @field_validator("input_columns")
    @classmethod
    def _check_columns(cls, columns: dict[str, str]) -> dict[str, str]:
        for name in columns:
            if name not in COLUMNS:
                raise ValueError(f"'{name}' is no column of ours; {nearest(name, COLUMNS)}")
        return columns

    @field_validator("panel")
    @classmethod
    def _check_panel(cls, panel: Any) -> Panel | None:
        if not isinstance(panel, Panel | None):
            raise ValueError("is no panel (an object of valueflow.categorization.Panel)")
        return panel

    @field_validator("judge")
    @classmethod
    def _check_judge(cls, judge: Any) -> Judge:
        if not isinstance(judge, Judge):
            raise ValueError("is no judge (an object with `rank`, `describe` and `rankings_per_window`)")
        return judge
