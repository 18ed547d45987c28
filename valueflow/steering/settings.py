"""The settings of `steer.py`; `configs/steer.yaml` holds their defaults."""

import logging
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from valueflow.llm import CacheMode, ChatModel
from valueflow.run.config import built
from valueflow.run.errors import InputError
from valueflow.run.settings import Settings
from valueflow.steering.methods import SteeringMethod
from valueflow.steering.opinionqa.settings import OpinionQASettings
from valueflow.steering.targets import Target
from valueflow.theory import Theory, theory_of

_log = logging.getLogger(__name__)

Intensity = Annotated[int, Field(ge=-2, le=2, strict=True)]

_NOT_OF_A_SURVEY = ("value", "intensity", "values", "intensities", "queries")
"""Settings that say nothing about a survey."""


class SteeringSettings(Settings):
    """What a model is steered to and asked; or which survey it answers for whom (`preset`)."""

    theory: Theory = Field(description="Theory of the values, or of the profile lines.")
    steering: Annotated[Any, BeforeValidator(built)] = Field(description="How queries are put to the model.")
    value: str | None = Field(description="Value to steer to, with `intensity`; spelling does not matter.")
    intensity: Intensity | None = Field(description="From -2 (strongly rejected) to 2 (strongly valued).")
    values: list[str] | None = Field(description="Several values at once, for the multi methods.")
    intensities: list[Intensity] | None = Field(description="The intensity of each of them.")
    queries: Annotated[
        list[str] | None, BeforeValidator(lambda given: [given] if isinstance(given, str) else given)
    ] = Field(description="File or files of queries; None: the packaged 50 open questions.")
    limit: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        description="Only the first so many queries, or survey questions, in all; None: all."
    )
    vidb: str = Field(description="Anchors that user_texts shows: demo, a folder, a file, or hf://NAME.")
    vidb_columns: dict[str, str] = Field(description="Our column name -> the source's, where they differ.")
    preset: str | None = Field(description="A survey setup: its name; None steers.")
    opinionqa: OpinionQASettings = Field(description="The survey, the profiles, and how questions are put.")
    llm: Annotated[Any, BeforeValidator(built)] = Field(description="The model that answers.")
    temperature: float = Field(ge=0, allow_inf_nan=False, description="0: the likeliest token each time.")
    max_tokens: int = Field(ge=1, strict=True, description="Most tokens of a response; a survey has its own.")
    cache: CacheMode = Field(description="Kept answers: `on` uses and adds, `read` only uses, `off` neither.")
    seed: int = Field(ge=0, strict=True, description="The one seed of all draws.")
    progress: bool = Field(description="Show a progress bar while the model answers.")

    @model_validator(mode="before")
    @classmethod
    def _find_theory(cls, given: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(given.get("theory"), Mapping):
            return given
        several = given.get("values")
        named = [given.get("value"), *(several if isinstance(several, list | tuple) else ())]
        return given | {"theory": theory_of(given["theory"], next((name for name in named if name is not None), None))}

    @field_validator("steering")
    @classmethod
    def _check_method(cls, steering: Any) -> SteeringMethod:
        if not isinstance(steering, SteeringMethod):
            raise ValueError("is no steering method (an object of a class of valueflow.steering)")
        return steering

    @field_validator("llm")
    @classmethod
    def _check_model(cls, llm: Any) -> ChatModel:
        if not (hasattr(llm, "start") and hasattr(llm, "identity")):
            raise ValueError("is no chat model (an object with `start` and `identity`)")
        return llm  # type: ignore[no-any-return]

    @model_validator(mode="after")
    def _check_survey(self) -> Self:
        given = [key for key in _NOT_OF_A_SURVEY if getattr(self, key) is not None]
        if self.preset is not None and given:
            raise ValueError(f"preset={self.preset} answers a survey, where '{given[0]}' has no meaning; leave it out")
        return self

    def targets(self) -> tuple[Target, ...]:
        """Return what is steered to, checked against what the method takes.

        Raises
        ------
        InputError
            Something is missing, superfluous, unknown or of unequal length.
        """
        method, takes = f"steering={self.steering.name}", self.steering.takes
        of_one, of_several = ("value", "intensity"), ("values", "intensities")
        needed = {"nothing": (), "one": of_one, "several": of_several}[takes]
        allowed = {"nothing": of_one, "one": of_one, "several": of_several}[takes]
        hints = {
            "nothing": "it takes at most value=..., as a name for the run",
            "one": "it takes value=... and intensity=..., one each; several values are for steering=multi_anchor, and "
            "a survey is answered with preset=...",
            "several": "it takes lists of equal length, as values=[benevolence,power] intensities=[2,-1]",
        }
        for key in (*of_one, *of_several):
            is_given = getattr(self, key) is not None
            if is_given and key not in allowed:
                raise InputError(f"{method}: '{key}' does not belong here; {hints[takes]}")
            if not is_given and key in needed:
                raise InputError(f"{method}: '{key}' is not set; {hints[takes]}")
        if takes == "nothing":
            if self.intensity is not None:
                _log.warning("%s asks for no intensity; intensity=%s has no effect", method, self.intensity)
            return ()
        values = self.values if self.values is not None else [str(self.value)]
        intensities = self.intensities if self.intensities is not None else [int(self.intensity or 0)]
        if len(values) != len(intensities) or not values:
            raise InputError(f"{method}: {len(values)} values and {len(intensities)} intensities; {hints['several']}")
        ids = [self.theory.resolve(value) for value in values]
        twice = next((value for value in ids if ids.count(value) > 1), None)
        if twice is not None:
            raise InputError(f"{method}: value '{twice}' stands twice")
        return tuple(Target(value, intensity) for value, intensity in zip(ids, intensities, strict=True))
