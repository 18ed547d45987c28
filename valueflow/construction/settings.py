"""The settings of `build_vidb.py`; `configs/build_vidb.yaml` holds their defaults and describes them."""

from typing import Annotated, Any, Self

import pandas as pd
from pydantic import Field, model_validator

from valueflow.judge import ConfiguredJudge
from valueflow.llm import CacheMode, check_places
from valueflow.run import BadRowPolicy, PositiveInt, Seed, Settings, known_columns
from valueflow.theory import TheorySettings
from valueflow.voting import OptionalPanel


class CheckWording(Settings):
    """How a panel is asked about a rating. Names in braces are filled in; other braces stand for themselves."""

    system: str
    question: str
    options: dict[str, str]
    max_tokens: PositiveInt
    max_text_bytes: Annotated[int, Field(ge=20, strict=True)]

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


class ConstructionSettings(TheorySettings):
    """Which texts become anchors of which value, ranked by whom, calibrated how."""

    value: str
    input: str | pd.DataFrame
    input_columns: Annotated[dict[str, str | None], known_columns("text", "mark")]
    limit: PositiveInt | None
    k: Annotated[int, Field(ge=2, strict=True)]
    m: Annotated[int, Field(ge=2, le=1000, strict=True)]
    random_rounds: Annotated[int, Field(ge=2, strict=True)]
    dry_run: Annotated[bool, Field(strict=True)]
    judge: ConfiguredJudge
    vidb: str
    llm: Any
    prompt: Any
    cache: CacheMode
    prior_precision: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    calibration: str | pd.DataFrame | None
    flag_misfit: Annotated[float, Field(gt=1)]
    panel: OptionalPanel
    check: CheckWording
    reviewed: str | pd.DataFrame | None
    human_weight: Annotated[float, Field(ge=0, le=1)]
    agree_within: Annotated[float, Field(ge=0)]
    license: str | None
    source: str | None
    push_to: str | None
    on_bad_row: BadRowPolicy
    seed: Seed
    progress: bool

    @model_validator(mode="after")
    def _check_rounds(self) -> Self:
        if self.random_rounds > self.m:
            raise ValueError(f"random_rounds={self.random_rounds} of m={self.m} rounds; give {self.m} or fewer")
        return self
