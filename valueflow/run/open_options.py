"""What may stand in the place of a group's option: `theory=FILE.json`, `llm=ORG/MODEL`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from valueflow.run.errors import InputError


@dataclass(frozen=True)
class _Opening:
    """A group's option that a file or name stands for, the key that takes it, and what such a one looks like."""

    option: str
    key: str
    fits: Callable[[str], object]


_OPENINGS = {
    "theory": _Opening("file", "file", re.compile(r".+\.json(\.gz)?$", re.IGNORECASE).match),
    # A name on the hub: owner and model. What begins like a path is none.
    "llm": _Opening("vllm", "model", re.compile(r"[\w-][\w.-]*/[\w.-]+$").match),
}


def opened(overrides: Mapping[str, Any], find: Callable[[str, str, str, str], str | None]) -> dict[str, Any]:
    """Put options in the place of files and names that stand for them.

    Parameters
    ----------
    overrides
        What is chosen, by group or key; several, separated by commas, are a sweep.
    find
        Given a group, its option, a key and a name, returns an option that is that one with the name filled in; None
        where there is none. It is taken, since it may hold more than the name.

    Raises
    ------
    InputError
        A sweep goes over options and over files or names.
    """
    result: dict[str, Any] = {}
    for name, chosen in overrides.items():
        opening = _OPENINGS.get(name)
        parts = [part.strip().strip("'\"") for part in chosen.split(",")] if isinstance(chosen, str) else []
        if opening is None or not any(opening.fits(part) for part in parts):
            result[name] = chosen
            continue
        options = [find(name, opening.option, opening.key, part) if opening.fits(part) else part for part in parts]
        if all(options):
            result[name] = ",".join(str(option) for option in options)
        elif all(opening.fits(part) for part in parts):
            result |= {name: opening.option, f"{name}.{opening.key}": chosen}
        else:
            raise InputError(
                f"{name}={chosen}: a sweep goes over options of the group, or over files and names, not over both; "
                "run it twice"
            )
    return result
