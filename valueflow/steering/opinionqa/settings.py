"""The settings of a survey; `configs/opinionqa/default.yaml` holds their defaults."""

from typing import Self

from pydantic import Field, model_validator

from valueflow.llm.templates import check_places
from valueflow.run.settings import Settings

_PLACES = {
    "system": ("attribute", "member"),
    "default_prompt": ("attribute", "member", "question", "options"),
    "profile_prompt": ("attribute", "member", "question", "options", "profile"),
}
_NEEDED = {"default_prompt": ("question", "options"), "profile_prompt": ("question", "options", "profile")}


class OpinionQASettings(Settings):
    """Which survey, whose profiles, when a profile is used, and how questions are put.

    In the templates, names in braces are filled in: attribute (what kind of group it is, such as income), member (which
    group, such as $100,000 or more), question, options (one lettered line each) and profile (one bullet line a value).
    """

    questions: str = Field(description="JSON list of question, options, attribute, gold_distribution; or demo.")
    profiles: str = Field(description="Folder of profile JSON files, one an attribute; or demo.")
    relevance: str | None = Field(description="CSV with question and top_score; None: computed with the encoder.")
    encoder: str = Field(description="Sentence encoder that computes relevance: minilm, a name or a folder.")
    num_prompts: int = Field(ge=1, strict=True, description="Profile lines: half of them the highest values.")
    threshold: float = Field(allow_inf_nan=False, description="Relevance from which the profile is used.")
    max_tokens: int = Field(ge=1, strict=True, description="Most tokens of an answer.")
    system: str = Field(description="Template of the system message; empty for models that take none.")
    default_prompt: str = Field(description="Template of the question without a profile.")
    profile_prompt: str = Field(description="Template of the question with the group's profile.")

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        for field, known in _PLACES.items():
            check_places(field, getattr(self, field), known)
        for field, needed in _NEEDED.items():
            for name in needed:
                if getattr(self, field).count(f"{{{name}}}") != 1:
                    raise ValueError(f"{field} must hold {{{name}}} once")
        return self
