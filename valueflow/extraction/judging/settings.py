"""The settings of `extract.py task=judge`; `configs/extract.yaml` holds their defaults and describes them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, SkipValidation, field_validator, model_validator

from valueflow.extraction.engines import RayEngine
from valueflow.extraction.settings import ConfiguredEngine, GivenInput
from valueflow.judge import Judge, TextJudge
from valueflow.llm import CacheMode
from valueflow.profiling import COLUMNS, DEFAULT_THEORY
from valueflow.run import BadRowPolicy, PositiveInt, Settings, built, compose_settings, known_columns
from valueflow.theory import Theory, load_theory, theory_from_file, theory_of

_OF_VECTORS = ("devices", "dtype", "prompt_name", "max_characters")
"""Keys of task=embed that say how, and are null by default: who gives one expects it to do something."""


@dataclass(frozen=True)
class GivenJudge:
    """A judge that reads texts one by one, and how it was given.

    Attributes
    ----------
    judge
        Built; nothing is loaded until it is asked.
    node
        Its settings, by which other processes build it; None where a Python caller gave an object.
    """

    judge: TextJudge
    node: Mapping[str, Any] | None

    @classmethod
    def of(cls, given: Any) -> "GivenJudge":
        """Build a judge.

        Raises
        ------
        ValueError
            It is no judge, or one that reads no single texts.
        """
        found = built(given)
        if not isinstance(found, Judge | TextJudge) or not hasattr(found, "describe"):
            raise ValueError("is not a judge (an object with `text_utilities`, `anchor_utilities` and `describe`)")
        if not isinstance(found, TextJudge):
            kind = found.describe().get("kind", type(found).__name__)
            raise ValueError(
                f"judge={kind} ranks windows and cannot read texts one by one; give judge=embedding (an encoder and "
                "its head, also a distilled one) or judge=logprob (log-odds of a chat model)"
            )
        return cls(found, given if isinstance(given, Mapping) else None)

    def describe(self) -> dict[str, object]:
        """Return what identifies the judge in a summary."""
        found: dict[str, object] = self.judge.describe()  # type: ignore[attr-defined]
        return found


class JudgingSettings(Settings):
    """Which texts are judged on which values, by whom and where."""

    task: Literal["judge"]
    judge: Annotated[SkipValidation[GivenJudge], BeforeValidator(GivenJudge.of)]
    input: GivenInput
    input_columns: Annotated[dict[str, str | None], known_columns(*COLUMNS)]
    theory: Theory
    values: Annotated[list[str] | None, BeforeValidator(lambda given: [given] if isinstance(given, str) else given)]
    regression: bool
    judge_check: bool
    vidb: str
    vidb_columns: dict[str, str | None]
    on_bad_row: BadRowPolicy
    rows_per_chunk: PositiveInt
    engine: ConfiguredEngine
    llm: Any
    cache: CacheMode
    progress: bool
    dry_run: bool
    devices: Any
    dtype: Any
    prompt_name: Any
    max_characters: Any
    model: Any

    @model_validator(mode="before")
    @classmethod
    def _find_theory(cls, given: dict[str, Any]) -> dict[str, Any]:
        fields, values = given.get("theory"), given.get("values")
        if fields is None or isinstance(fields, str):
            return given | {"theory": load_theory(fields or DEFAULT_THEORY)}
        if not isinstance(fields, Mapping):
            return given
        if "file" in fields and "name" not in fields:
            return given | {"theory": theory_from_file(str(fields["file"]))}
        # What is no list at all is told by the field's own check.
        first = next(iter(values), None) if isinstance(values, list | tuple) else values
        return given | {"theory": theory_of(fields, first)}

    @field_validator("dry_run")
    @classmethod
    def _check_dry_run(cls, dry_run: bool) -> bool:
        if dry_run:
            raise ValueError("task=judge makes no plan; try it on a short file, or give task=profile")
        return dry_run

    @field_validator(*_OF_VECTORS)
    @classmethod
    def _check_unread(cls, given: Any) -> Any:
        if given is not None:
            raise ValueError("task=judge does not read it, it is for task=embed; the judge's settings are judge.KEY")
        return given

    @field_validator("model")
    @classmethod
    def _check_model(cls, given: Any) -> Any:
        if given != compose_settings("extract", {})["model"]:
            raise ValueError("task=judge does not read it; the encoder of judge=embedding is judge.encoder=...")
        return given

    @model_validator(mode="after")
    def _check_values(self) -> Self:
        if self.values is not None:
            if not self.values:
                raise ValueError("values=[]: names no value; null is all of the theory")
            ids = [self.theory.resolve(str(name)) for name in self.values]
            twice = next((name for place, name in enumerate(self.values) if ids[place] in ids[:place]), None)
            if twice is not None:
                raise ValueError(f"values: '{twice}' is named twice; name each value once")
            # The settings are frozen for those who read them; here they are completed.
            object.__setattr__(self, "values", ids)
        return self

    @model_validator(mode="after")
    def _check_engine(self) -> Self:
        if isinstance(self.engine, RayEngine) and self.judge.node is None:
            raise ValueError(
                "judge: actors of engine=ray build it from its settings; give its name and settings, as judge=embedding"
            )
        return self

    @property
    def asked(self) -> tuple[str, ...]:
        """Ids of the values that texts are judged on."""
        return self.theory.values if self.values is None else tuple(self.values)

    def unused(self, referred: Collection[str]) -> set[str]:
        """Return the keys that have no part in this run."""
        return (
            super().unused(referred)
            | {"dry_run", "model", *_OF_VECTORS}
            | (set() if self.regression else {"judge_check"})
        )
