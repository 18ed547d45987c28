"""The settings of `steer.py`; `configs/steer.yaml` holds their defaults and describes them."""

import logging
from collections.abc import Collection
from typing import Annotated, Self

from pydantic import BeforeValidator, SkipValidation, model_validator

from valueflow.opinionqa import SurveySettings
from valueflow.responses import joined
from valueflow.run import BadRowPolicy, InputError, Intensity, PositiveInt, built_as
from valueflow.steering.methods import SteeringMethod
from valueflow.steering.targets import Target

_log = logging.getLogger(__name__)

_NOT_OF_A_SURVEY = ("value", "intensity", "values", "intensities", "queries")
"""Settings that have no meaning for a survey."""

_OF_ANCHORS = {"vidb", "vidb_columns"}
_OF_STEERING = {"steering", "queries", "max_tokens", "on_bad_row", "price", *_OF_ANCHORS}

ConfiguredSteering = Annotated[
    SkipValidation[SteeringMethod],
    built_as(
        lambda method: isinstance(method, SteeringMethod),
        "a steering method (an object of a class of valueflow.steering)",
    ),
]


class SteeringSettings(SurveySettings):
    """What a model is steered to and asked; or which survey it answers for whom (`preset`)."""

    steering: ConfiguredSteering
    value: str | None
    intensity: Intensity | None
    values: list[str] | None
    intensities: list[Intensity] | None
    queries: Annotated[list[str] | None, BeforeValidator(lambda given: [given] if isinstance(given, str) else given)]
    vidb: str
    vidb_columns: dict[str, str | None]
    on_bad_row: BadRowPolicy
    max_tokens: PositiveInt
    price: bool

    @model_validator(mode="after")
    def _check_survey(self) -> Self:
        given = [key for key in _NOT_OF_A_SURVEY if getattr(self, key) is not None]
        if self.preset is not None and given:
            raise ValueError(f"preset={self.preset} answers a survey, where '{given[0]}' has no meaning; leave it out")
        if self.preset is not None and self.price:
            raise ValueError(f"preset={self.preset} answers a survey, which has no price; leave price=true out")
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
            raise InputError(f"{method}: value '{twice}' appears twice")
        return tuple(Target(value, intensity) for value, intensity in zip(ids, intensities, strict=True))

    def labels(self, targets: tuple[Target, ...]) -> dict[str, str]:
        """Return the cells that say what responses were steered to; without steering, what the user named the run by.

        Returns
        -------
        dict
            `theory`, `value`, `intensity` and `steering`; several values and their intensities are joined.
        """
        theory, method = self.theory, self.steering.name
        if not targets:
            named = theory.resolve(self.value) if self.value else ""
            return {"theory": theory.name if named else "", "value": named, "intensity": "", "steering": method}
        return {
            "theory": theory.name,
            "value": joined([target.value for target in targets]),
            "intensity": joined([target.intensity for target in targets]),
            "steering": method,
        }

    def unused(self, referred: Collection[str]) -> set[str]:
        """Return the keys that have no part in this run."""
        found = super().unused(referred)
        if self.preset is not None:
            return found | _OF_STEERING
        return found | {"opinionqa"} | (set() if self.steering.uses_anchors else _OF_ANCHORS)
