"""The settings of `extract.py task=profile`; `configs/extract.yaml` holds their defaults and describes them."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SkipValidation, field_validator, model_validator

from valueflow.evaluation import WindowSettings
from valueflow.llm import CacheMode, check_places
from valueflow.profiling.normalization import Normalization
from valueflow.profiling.relevance import Relevance
from valueflow.profiling.surveys import Answers
from valueflow.run import BadRowPolicy, Seed, built_as, known_columns
from valueflow.theory import Theory, load_theory, theory_from_mapping

DEFAULT_THEORY = "pvq"

COLUMNS = ("text", "theory", "group", "person", "model")
"""What `input_columns` may name; texts to be embedded have the first two alone."""

_SOURCES = ("input", "survey", "responses")


def _theories(given: Any) -> Any:
    """Return the theories of a composed `theory` node: one, or all of a collection; None is the default one."""
    if given is None:
        return (load_theory(DEFAULT_THEORY),)
    if isinstance(given, Theory):
        return (given,)
    if isinstance(given, str):
        return (load_theory(given),)
    if isinstance(given, Mapping):
        if given and all(isinstance(entry, Mapping) for entry in given.values()):
            return tuple(theory_from_mapping(fields) for fields in given.values())
        return (theory_from_mapping(given),)
    return given


class ProfileSettings(WindowSettings):
    """Whose values are found, by which relevance and which judge, and how they become scores."""

    task: Literal["profile"]
    input: str | None
    survey: str | None
    responses: str | None
    input_columns: Annotated[dict[str, str | None], known_columns(*COLUMNS)]
    by: Literal["group", "model", "person"] | None
    answers: Answers
    statements: Literal["template", "model"]
    statement: str
    statement_prompt: str
    theory: Annotated[tuple[Theory, ...], Field(min_length=1), BeforeValidator(_theories)]
    on_bad_row: BadRowPolicy
    model: str
    relevance: Annotated[
        SkipValidation[Relevance],
        built_as(
            lambda relevance: isinstance(relevance, Relevance),
            "a measure of relevance (an object with `of`, `n` and `threshold`)",
        ),
    ]
    weights: Literal["none", "relevance"]
    normalization: Annotated[Normalization, built_as(lambda given: isinstance(given, Normalization), "a normalization")]
    vidb: str
    vidb_columns: dict[str, str | None]
    judge_check: bool
    llm: Any
    prompt: Any
    cache: CacheMode
    dry_run: Annotated[bool, Field(strict=True)]
    seed: Seed

    @field_validator("statement", "statement_prompt")
    @classmethod
    def _check_wording(cls, template: str) -> str:
        check_places("statement", template, ("question", "option"))
        if template.count("{option}") != 1:
            raise ValueError("must hold {option} once: the answer's place")
        return template

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        given = [key for key in _SOURCES if getattr(self, key) is not None]
        if not given:
            raise ValueError(
                "nothing to profile: give input=FILE (texts and who said them), survey=FILE (answers of groups) or "
                "responses=FOLDER (of models)"
            )
        if len(given) > 1:
            raise ValueError(f"{' and '.join(f'{key}=...' for key in given)} are both given; give one of them")
        return self

    def unused(self, referred: Collection[str]) -> set[str]:
        """Return the keys that have no part in this run."""
        return super().unused(referred) - ({"llm"} if self.statements == "model" else set())
