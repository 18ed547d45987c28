"""The settings of a survey; `configs/opinionqa/default.yaml` holds their defaults."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from valueflow.llm import CacheMode, ConfiguredModel, check_places
from valueflow.run import PositiveInt, Seed, Settings
from valueflow.theory import TheorySettings

_PLACES = {
    "system": ("attribute", "member"),
    "default_prompt": ("attribute", "member", "question", "options"),
    "profile_prompt": ("attribute", "member", "question", "options", "profile"),
    "relevance_prompt": ("question", "value", "definition", "label", "theory"),
}
_NEEDED = {
    "default_prompt": ("question", "options"),
    "profile_prompt": ("question", "options", "profile"),
    "relevance_prompt": ("question", "value"),
}


class OpinionQASettings(Settings):
    """Which survey, whose profiles, when a profile is used, and how questions are put.

    In the templates, names in braces are filled in: attribute (what kind of group it is, such as income), member (which
    group, such as $100,000 or more), question, options (one lettered line each) and profile (a bullet line per value).
    """

    questions: str
    profiles: str
    relevance: str | None
    relevance_by: Literal["encoder", "llm"]
    encoder: str
    num_prompts: PositiveInt
    profile_rule: Literal["scores", "published"]
    published_threshold: Annotated[float, Field(allow_inf_nan=False)]
    threshold: Annotated[float, Field(allow_inf_nan=False)]
    relevance_share: Annotated[float, Field(gt=0, le=1)] | None
    max_tokens: PositiveInt
    logprobs: bool
    samples: Annotated[int, Field(ge=0, le=10_000, strict=True)]
    system: str
    default_prompt: str
    profile_prompt: str
    relevance_prompt: str

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        for field, known in _PLACES.items():
            check_places(field, getattr(self, field), known)
        for field, needed in _NEEDED.items():
            for name in needed:
                if getattr(self, field).count(f"{{{name}}}") != 1:
                    raise ValueError(f"{field} must hold {{{name}}} once")
        return self


class SurveySettings(TheorySettings):
    """A survey that a model answers for groups; settings of a command that does so extend them."""

    preset: str | None
    opinionqa: OpinionQASettings
    llm: ConfiguredModel
    limit: PositiveInt | None
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    cache: CacheMode
    seed: Seed
    progress: bool
