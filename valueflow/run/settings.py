"""Typed settings: fields that explain themselves, faults told in one line."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from valueflow.run.errors import InputError, nearest, shorten


class Settings(BaseModel):
    """Base of every app's settings: immutable, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    @classmethod
    def checked(cls, given: Mapping[str, Any]) -> Self:
        """Build the settings from a composed configuration.

        Raises
        ------
        InputError
            The first thing wrong: an unknown or missing key, a wrong type, a number out of range.
        """
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            raise InputError(first_fault(error, cls)) from error


def first_fault(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """Say in one line what the first of pydantic's findings is, where, and what would be right.

    The model, where it is known, tells which names an unknown one is near to.
    """
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"])
    match fault["type"]:
        case "extra_forbidden":
            name = str(fault["loc"][-1])
            return f"'{place}' is no setting" + (f"; {nearest(name, model.model_fields)}" if model else "")
        case "missing":
            return f"'{place}' is missing"
        case "value_error":
            reason = str(fault["ctx"]["error"])
            return f"{place}: {reason}" if place else reason
    message = fault["msg"][0].lower() + fault["msg"][1:]
    return f"{place}={shorten(str(fault['input']))}: {message}" if place else message
