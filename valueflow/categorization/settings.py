"""The settings of `categorize.py`; `configs/categorize.yaml` holds their defaults and describes them."""

from typing import Annotated, Any, Self

import pandas as pd
from pydantic import Field, field_validator, model_validator

from valueflow.categorization.descent import NEUTRAL
from valueflow.llm import CacheMode, check_places
from valueflow.run import BadRowPolicy, PositiveInt, Seed, Settings, known_columns
from valueflow.theory import Theory, TheorySettings
from valueflow.voting import ConfiguredPanel

_OF_ALL = ("theory", "label", "text", "options")


class Wording(Settings):
    """How the panel is asked. In the templates names in braces are filled in; other braces stand for themselves."""

    system: str
    question: str
    neutral: str
    direction: str
    directions: dict[str, str]

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


class CategorizationSettings(TheorySettings):
    """Which texts a panel places where in which theory."""

    input: str | pd.DataFrame
    input_columns: Annotated[dict[str, str | None], known_columns("text")]
    limit: PositiveInt | None
    panel: ConfiguredPanel
    llm: Any
    direction: Annotated[bool, Field(strict=True)]
    reviewed: str | None
    review_below: Annotated[float, Field(ge=0, le=1)]
    wording: Wording
    max_tokens: PositiveInt
    max_text_bytes: Annotated[int, Field(ge=20, strict=True)]
    cache: CacheMode
    on_bad_row: BadRowPolicy
    seed: Seed
    progress: bool

    @field_validator("theory")
    @classmethod
    def _check_names(cls, theory: Theory) -> Theory:
        if theory.find(NEUTRAL) is not None:
            raise ValueError(f"theory '{theory.name}' has a node called {NEUTRAL}, as the panel's second round has one")
        return theory
