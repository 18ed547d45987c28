"""Tables as JSON: an object a line, or a list of objects."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from valueflow.run.errors import InputError, shorten
from valueflow.run.tables.delimited import column_names


def parsed(text: str, where: str) -> Any:
    """Parse JSON strictly: a key that appears twice in an object is a fault, which other readers pass over.

    Raises
    ------
    InputError
        It is none; with the place where it breaks.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except _TwiceError as error:
        raise InputError(f"{where}: the key '{shorten(str(error))}' appears twice in one object; keep one") from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where} is no readable JSON: it breaks at line {error.lineno}, character {error.colno}"
        ) from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{where} is no readable JSON: it is nested too deeply, or a number is too long") from error


def json_lines(lines: Iterable[str], where: str) -> tuple[list[int], list[Mapping[str, Any]]]:
    """Read an object from each line that is not blank; return the lines' numbers, from 1, and the objects."""
    numbers, objects = [], []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            entry = _parsed_line(line, f"{where}, row {number}")
            numbers.append(number)
            objects.append(entry)
    return numbers, objects


def json_list(text: str, where: str) -> tuple[list[int], list[Mapping[str, Any]]]:
    """Read a list of objects; return their numbers, from 1, and the objects."""
    content = parsed(text, where)
    if isinstance(content, Mapping):
        inside = [
            key for key, entry in content.items() if isinstance(entry, list) and entry and isinstance(entry[0], Mapping)
        ]
        cure = f"; its '{shorten(inside[0])}' holds one, save that alone" if inside else ""
        raise InputError(f"{where} holds a JSON object, not a list of objects{cure}")
    if not isinstance(content, list):
        raise InputError(f"{where} holds no list of objects")
    for number, entry in enumerate(content, start=1):
        if not isinstance(entry, Mapping):
            raise InputError(f"{where}, row {number}: '{shorten(str(entry))}' is no object with a key for each column")
    return list(range(1, len(content) + 1)), content


def frame_of(objects: list[Mapping[str, Any]], where: str) -> pd.DataFrame:
    """Lay objects out as a table; a key that an object lacks is a missing cell, and cells keep their types."""
    keys = list(dict.fromkeys(key for entry in objects for key in entry))
    names = column_names(keys, where)
    # As objects: a whole number beside a missing one would become 2.0.
    return pd.DataFrame(
        {
            name: pd.Series([entry.get(key) for entry in objects], dtype=object)
            for name, key in zip(names, keys, strict=True)
        }
    )


def _parsed_line(line: str, where: str) -> Mapping[str, Any]:
    try:
        entry = json.loads(line, object_pairs_hook=_once)
    except _TwiceError as error:
        raise InputError(f"{where}: the key '{shorten(str(error))}' appears twice; keep one") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{where} is no JSON object: it breaks at character {error.colno}") from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{where} is nested too deeply, or a number in it is too long") from error
    if not isinstance(entry, Mapping):
        raise InputError(f"{where} is no JSON object with a key for each column")
    return entry


class _TwiceError(ValueError):
    """A key appears twice in an object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _TwiceError(next(key for key in keys if keys.count(key) > 1))
    return entries
