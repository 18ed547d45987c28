"""Typed settings: checked where they enter, faults reported in one line.

The YAML files in `configs` hold the defaults and describe each key; the classes hold types and ranges.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from valueflow.run.errors import InputError, nearest, shorten, unknown_setting

PositiveInt = Annotated[int, Field(ge=1, strict=True)]
Seed = Annotated[int, Field(ge=0, strict=True)]
Intensity = Annotated[int, Field(ge=-2, le=2, strict=True)]
"""A steering target, from -2 (strongly rejected) to 2 (strongly valued)."""


class Settings(BaseModel):
    """Base of every command's settings: immutable, no unknown keys."""

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

    def unused(self, referred: Collection[str]) -> set[str]:
        """Return the keys that have no part in this run; loggers leave them out. A dotted key is an entry of one.

        Parameters
        ----------
        referred
            Keys that others refer to: an option that is taken as it is (`Any`) has a part only if it is among them.
        """
        return {
            key
            for key, field in type(self).model_fields.items()
            if field.annotation is Any and isinstance(getattr(self, key), Mapping) and key not in referred
        }


class SettingsByTask:
    """Settings of a command whose tasks have classes of their own; its YAML holds the keys of all of them.

    Stands where a class of settings does: `model_fields` are the keys of all tasks, and `checked` builds the settings
    of the one that a key names, from its own keys.

    Parameters
    ----------
    tasks
        Classes by what the key names; or again several, told apart by another key.
    key
        Which key names one: `task`, or a dotted one such as `stage.name`.
    """

    def __init__(self, tasks: Mapping[str, "type[Settings] | SettingsByTask"], key: str = "task") -> None:
        self._tasks = tasks
        self._key = key

    @property
    def model_fields(self) -> dict[str, Any]:
        """All keys of all tasks."""
        return {key: field for settings in self._tasks.values() for key, field in settings.model_fields.items()}

    def checked(self, given: Mapping[str, Any]) -> Settings:
        """Build the settings of the task that is asked for.

        Raises
        ------
        InputError
            There is no such task, a key is unknown to all tasks, or as `Settings.checked`.
        """
        task: Any = given
        for part in self._key.split("."):
            task = task.get(part) if isinstance(task, Mapping) else None
        if task not in self._tasks:
            raise InputError(f"{self._key}={shorten(str(task))}: unknown; {nearest(str(task), self._tasks)}")
        known = self.model_fields
        unknown = next((key for key in given if key not in known), None)
        if unknown is not None:
            raise InputError(unknown_setting(unknown, known))
        chosen = self._tasks[str(task)]
        return chosen.checked({key: entry for key, entry in given.items() if key in chosen.model_fields})


def first_fault(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """Word the first of pydantic's findings in one line: what is wrong, where, and what would be right.

    The model, where it is known, says which names an unknown one is near to.
    """
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"])
    match fault["type"]:
        case "extra_forbidden":
            return unknown_setting(place, model.model_fields) if model else f"unknown setting '{place}'"
        case "missing":
            return f"'{place}' is missing"
        case "value_error":
            reason = str(fault["ctx"]["error"])
            return f"{place}: {reason}" if place else reason
    message = fault["msg"][0].lower() + fault["msg"][1:]
    return f"{place}={shorten(str(fault['input']))}: {message}" if place else message


def built_as(is_right: Callable[[Any], bool], what: str) -> BeforeValidator:
    """Return a validator that builds the object a config node describes, and checks what it is.

    Parameters
    ----------
    is_right
        The check.
    what
        What the object must be, for the message, such as `a judge (an object with rank)`.
    """

    def build(given: Any) -> Any:
        from valueflow.run.config import built

        found = built(given)
        if not is_right(found):
            raise ValueError(f"is not {what}")
        return found

    return BeforeValidator(build)


def known_columns(*names: str) -> AfterValidator:
    """Return a validator for a mapping from our column names to a file's: ours must be among `names`."""

    def check(columns: dict[str, str | None]) -> dict[str, str | None]:
        for ours in columns:
            if ours not in names:
                raise ValueError(f"unknown column '{ours}'; {nearest(ours, names)}")
        return columns

    return AfterValidator(check)


def folder_list(given: object) -> object:
    """Take a single folder for a list of one, and names of digits, which Hydra reads as numbers, as they are."""
    folders = given if isinstance(given, list | tuple) else [given]
    return [str(folder) if isinstance(folder, int) else folder for folder in folders]
