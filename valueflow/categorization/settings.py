"""The settings of `categorize.py`; `configs/categorize.yaml` holds their defaults."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

import pandas as pd
from pydantic import BeforeValidator, Field, field_validator, model_validator

from valueflow.categorization.descent import NEUTRAL
from valueflow.categorization.panel import Panel
from valueflow.llm import CacheMode
from valueflow.llm.templates import check_places
from valueflow.run.config import built
from valueflow.run.settings import Settings
from valueflow.theory import Theory, theory_of

_OF_ALL = ("theory", "label", "text", "options")


class Wording(Settings):
    """How the panel is asked. In the templates names in braces are filled in; other braces stand for themselves."""

    system: str = Field(description="The system message; empty for models that take none.")
    question: str = Field(description="Template of the question which child of a node a text belongs to.")
    neutral: str = Field(description="What Neutral means, in the second round.")
    direction: str = Field(description="Template of the question which side of its value a text takes.")
    directions: dict[str, str] = Field(description="What support, oppose and neutral mean.")

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        check_places("question", self.question, (*_OF_ALL, "place"))
        check_places("direction", self.direction, (*_OF_ALL, "value", "definition"))
        for field in ("question", "direction"):
            for place in ("{text}", "{options}"):
                if getattr(self, field).count(place) != 1:
                    raise ValueError(f"{field} must hold {place} once")
        if set(self.directions) != {"support", "oppose", "neutral"}:
            raise ValueError(f"directions must explain support, oppose and neutral, not {', '.join(self.directions)}")
        return self


class CategorizationSettings(Settings):
    """Which texts a panel places where in which theory."""

    theory: Theory = Field(description="The hierarchy that texts are placed in.")
    input: str | pd.DataFrame = Field(description="The texts: a CSV or Parquet file, or a DataFrame.")
    input_columns: dict[str, str] = Field(description="Our column name -> the file's, where they differ.")
    limit: Annotated[int, Field(ge=1, strict=True)] | None = Field(description="Only the first so many rows.")
    panel: Annotated[Any, BeforeValidator(built)] = Field(description="The judges and their rule.")
    llm: Any = Field(description="The model of a panel that asks one model several times.")
    direction: bool = Field(strict=True, description="Whether the panel also votes on the direction.")
    reviewed: str | None = Field(description="A file of decisions by people, which win over the panel.")
    review_below: float = Field(ge=0, le=1, description="An agreement below this sends a text to review.")
    wording: Wording = Field(description="How the panel is asked.")
    max_tokens: int = Field(ge=1, strict=True, description="Most tokens of an answer.")
    max_text_bytes: int = Field(ge=20, strict=True, description="Most bytes of a text that are shown.")
    cache: CacheMode = Field(description="Kept answers: `on` uses and adds, `read` only uses, `off` neither.")
    seed: int = Field(ge=0, strict=True, description="The one seed of all draws.")
    progress: bool = Field(description="Show a progress bar while judges vote.")

    @model_validator(mode="before")
    @classmethod
    def _find_theory(cls, given: dict[str, Any]) -> dict[str, Any]:
        return (
            given | {"theory": theory_of(given["theory"], None)} if isinstance(given.get("theory"), Mapping) else given
        )

    @field_validator("theory")
    @classmethod
    def _check_names(cls, theory: Theory) -> Theory:
        if theory.find(NEUTRAL) is not None:
            raise ValueError(f"theory '{theory.name}' has a node called {NEUTRAL}, as the panel's second round has one")
        return theory

    @field_validator("panel")
    @classmethod
    def _check_panel(cls, panel: Any) -> Panel:
        if not isinstance(panel, Panel):
            raise ValueError("is no panel (an object of valueflow.categorization.Panel)")
        return panel

    @field_validator("input_columns")
    @classmethod
    def _check_columns(cls, columns: dict[str, str]) -> dict[str, str]:
        unknown = set(columns) - {"text"}
        if unknown:
            raise ValueError(f"'{unknown.pop()}' is no column of ours; known: text")
        return columns
