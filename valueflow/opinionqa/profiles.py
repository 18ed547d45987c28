"""Value profiles of groups: what is said of a group's values in a prompt."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from valueflow.opinionqa.questions import DEMO, read_json
from valueflow.run import InputError, first_fault, is_hidden, nearest, shorten
from valueflow.theory import Theory

DEMO_FOLDER = Path(__file__).parents[1] / "assets" / "opinionqa" / "profiles"

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class ProfileLine(BaseModel):
    """What a profile says of one value."""

    model_config = ConfigDict(frozen=True)

    score: float = Field(ge=-1, le=1, strict=True, description="How much the group holds the value.")
    definition_prompt: Text = Field(description="The line that a prompt shows.")
    value_key: Text = Field(description="The value.")


class _Profile(BaseModel):
    attribute: Text
    theories: dict[str, dict[str, Any]]


_CONTENT = TypeAdapter(dict[str, dict[str, dict[str, list[ProfileLine]]]])

BANDS = ("very_high", "high", "medium", "low", "very_low")
"""How a profile groups a theory's values, from the highest scores to the lowest."""


def profile_file_name(attribute: str) -> str:
    """Return the name of an attribute's profile file.

    Every run of characters other than the letters A to Z and a to z, digits, `_` and `-` becomes one `_`:
    `RELIG_Nothing in particular` -> `RELIG_Nothing_in_particular.json`.
    """
    return f"{_plain(attribute)}.json"


def load_profiles(source: str, attributes: Iterable[str], theory: Theory) -> dict[str, list[ProfileLine]]:
    """Read what the profiles of groups say of a theory's values.

    Parameters
    ----------
    source
        Folder of profile files, or `demo`.
    attributes
        The groups, as the survey names them.
    theory
        Whose values.

    Returns
    -------
    dict
        For each attribute the lines of its file, in the file's order.

    Raises
    ------
    InputError
        A file is missing, is another group's, lacks the theory, or is not a profile.
    """
    folder = DEMO_FOLDER if source == DEMO else Path(source)
    if not os.path.isdir(folder):  # unlike Path's own, it also answers for names that no file system can hold
        raise InputError(f"opinionqa.profiles: there is no folder {shorten(str(folder), 200)}")
    names: dict[str, str] = {}
    for attribute in dict.fromkeys(attributes):
        other = names.setdefault(profile_file_name(attribute), attribute)
        if other != attribute:
            raise InputError(
                f"opinionqa.profiles: the attributes '{shorten(other)}' and '{shorten(attribute)}' would share the "
                f"file {shorten(profile_file_name(attribute))}; rename one of them"
            )
    return {attribute: _lines(folder, attribute, theory) for attribute in names.values()}


def select_lines(lines: Sequence[ProfileLine], n: int) -> list[ProfileLine]:
    """Return the lines of the ceil(n/2) highest values, then those of the floor(n/2) lowest.

    Parameters
    ----------
    lines
        What a profile says of a theory's values.
    n
        How many lines; where there are fewer values, all of them, each once.

    Returns
    -------
    list of ProfileLine
        From the highest score to the lowest. Where scores are equal, the line that stands first in the file counts as
        the higher one.
    """
    ordered = sorted(lines, key=lambda line: -line.score)
    highest = (n + 1) // 2
    return ordered[:highest] + ordered[max(highest, len(ordered) - n // 2) :]


def select_lines_as_published(lines: Sequence[ProfileLine], n: int) -> list[ProfileLine]:
    """Return the lines that the published script chooses: it cuts scores to whole numbers before it sorts them.

    Scores within (-1, 1) are all 0 then. Of equal ones the line that stands last in the file counts as the highest and
    the first as the lowest.

    Parameters
    ----------
    lines
        What a profile says of a theory's values.
    n
        How many lines; where there are fewer values, all of them.

    Returns
    -------
    list of ProfileLine
        The ceil(n/2) highest, the highest first, then the floor(n/2) lowest, the lowest first.
    """
    rising = sorted(lines, key=lambda line: int(line.score))
    taken = min(n, len(rising))
    highest = (taken + 1) // 2
    return rising[::-1][:highest] + rising[: taken - highest]


def _lines(folder: Path, attribute: str, theory: Theory) -> list[ProfileLine]:
    path = folder / profile_file_name(attribute)
    if not os.path.isfile(path):
        there = sorted(file.stem for file in folder.glob("*.json") if not is_hidden(file.name))
        raise InputError(
            f"opinionqa.profiles: the profile of '{shorten(attribute)}' is missing; looked for "
            f"{shorten(str(path), 200)}; {nearest(path.stem, there)}"
        )
    try:
        profile = _Profile.model_validate(read_json(path, "opinionqa.profiles"))
    except ValidationError as error:
        raise InputError(f"{path}: {first_fault(error)}") from error
    if _plain(profile.attribute) != path.stem:
        raise InputError(f"{path}: this is the profile of '{profile.attribute}', not of '{attribute}'")
    found: dict[str, list[ProfileLine]] = {}
    for name, bands in profile.theories.items():
        if theory.is_named(name):
            lines = _lines_of(name, bands, str(path))
            _check_values(lines, theory, f"{path}, theories.{name}")
            if lines:
                found[name] = lines
    if len(found) > 1:
        raise InputError(f"{path}, theories: {' and '.join(found)} are the same theory; keep one of them")
    if found:
        return next(iter(found.values()))
    raise InputError(f"{path}: it says nothing of theory '{theory.name}'; {nearest(theory.name, profile.theories)}")


def _lines_of(name: str, bands: Mapping[str, Any], where: str) -> list[ProfileLine]:
    for band in bands:
        if band not in BANDS:
            raise InputError(f"{where}, theories.{name}: '{band}' is no band; {nearest(band, BANDS)}")
    try:
        # Wrapped as it stands in the file, so that a fault is told with its place.
        checked = _CONTENT.validate_python({"theories": {name: bands}})["theories"][name]
    except ValidationError as error:
        raise InputError(f"{where}: {first_fault(error)}") from error
    return [line for band in BANDS for line in checked.get(band, [])]


def _check_values(lines: Sequence[ProfileLine], theory: Theory, where: str) -> None:
    seen: set[str] = set()
    for line in lines:
        value = theory.find(line.value_key)
        if value is None:
            raise InputError(
                f"{where}: value '{line.value_key}' is not in it; {nearest(line.value_key, theory.values)}"
            )
        if value in seen:
            raise InputError(f"{where}: value '{line.value_key}' appears twice")
        seen.add(value)


def _plain(attribute: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", attribute)
