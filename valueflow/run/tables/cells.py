"""What a cell of a text column holds: a text, a conversation whose last word counts, or something that is no text."""

import ast
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.run.errors import InputError, shorten

Speaker = Literal["assistant", "user"]

_SPEAKERS = {"assistant": ("assistant", "ai", "gpt", "model", "bot"), "user": ("user", "human", "prompter")}
_KEYS = (("role", "content"), ("from", "value"))
"""How a message says who speaks and what."""

_TEXT_PARTS = ("text", "output_text", "input_text")

_HALF = "half a character; mend it first"

_log = logging.getLogger(__name__)


def as_texts(column: "pd.Series[Any]", where: str) -> npt.NDArray[np.object_]:
    """Return a column of labels or texts, missing ones empty; numbers and booleans as they are written.

    Raises
    ------
    InputError
        A cell is a list, a struct or bytes, or a text holds half a character (a lone surrogate), which no UTF-8 file
        can.
    """
    present = column.notna().to_numpy()
    values = column.to_numpy(dtype=object)
    texts = np.array(
        [
            value if type(value) is str else "" if not here else _written(value, column, place, where)
            for place, (value, here) in enumerate(zip(values, present, strict=True))
        ],
        dtype=object,
    )
    halves = _halves(texts.tolist())
    if halves:
        raise InputError(f"{_cell(column, halves[0], where)}: {_HALF}")
    return texts


def prose(column: "pd.Series[Any]", where: str, speaker: Speaker) -> "pd.Series[Any]":
    """Return a column whose cells are texts or missing.

    A cell that is a list of chat messages becomes the last text of the speaker, which is said once. So does a text that
    is such a list as JSON or Python writes it, where all texts of the column are.

    Raises
    ------
    InputError
        A cell is anything else: a list, a struct, bytes, a number; or a text holds half a character.
    """
    said = _said(column, speaker)
    if said.faults:
        place, fault = next(iter(said.faults.items()))
        raise InputError(f"{_cell(column, place, where)}: {fault}")
    if not said.n_conversations:
        return column
    _log.warning(
        "%s, column '%s': %d cells are lists of chat messages; the last text of the %s is taken",
        *(where, column.name, said.n_conversations, speaker),
    )
    return pd.Series(said.texts, index=column.index, name=column.name, dtype=object)


def prose_faults(column: "pd.Series[Any]", speaker: Speaker) -> dict[int, str]:
    """Return why cells hold no text that `prose` could return, by their place from 0; missing cells have no fault."""
    return _said(column, speaker).faults


class _Said(NamedTuple):
    """What the cells of a column say, in their order, why others say nothing, and how many were conversations."""

    texts: list[Any]
    faults: dict[int, str]
    n_conversations: int


def _said(column: "pd.Series[Any]", speaker: Speaker) -> _Said:
    values: list[Any] = column.tolist()
    written = [value if type(value) is str else "" for value in values]
    if _may_be_conversations(written):
        unwritten = [_unwritten(text) if text.strip() else value for text, value in zip(written, values, strict=True)]
        if not any(type(value) is str and value.strip() for value in unwritten):
            values = unwritten
    faults = {}
    n_conversations = 0
    for place, (value, here) in enumerate(zip(values, column.notna().tolist(), strict=True)):
        if type(value) is str or not here:
            continue
        messages = _messages(value)
        said = None if messages is None else _last_text(messages, speaker)
        if messages is None:
            faults[place] = f"holds {_kind(value)}, not a text"
        elif said is None:
            faults[place] = f"its chat messages hold no text of the {speaker}"
        else:
            values[place] = said
            n_conversations += 1
    faults |= dict.fromkeys(_halves([value if type(value) is str else "" for value in values]), _HALF)
    return _Said(values, dict(sorted(faults.items())), n_conversations)


def _halves(texts: Sequence[str]) -> list[int]:
    """Return the places of texts that hold half a character (a lone surrogate), which no UTF-8 file can."""
    try:
        "".join(texts).encode("utf-8")
    except UnicodeEncodeError:
        return [place for place, text in enumerate(texts) if any("\ud800" <= letter <= "\udfff" for letter in text)]
    return []


def row_number(index: "pd.Index[Any]", place: int) -> int:
    """Return the number of a row as its file counts: from 1 below the header, rows that are passed over included."""
    return int(index[place]) if index.name == ROW else place + 1


ROW = "row"
"""Name of an index that holds the numbers of rows in their file, where these are not 1, 2, 3, ..."""


def _cell(column: "pd.Series[Any]", place: int, where: str) -> str:
    return f"{where}, row {row_number(column.index, place)}, column '{shorten(str(column.name))}'"


def _written(value: Any, column: "pd.Series[Any]", place: int, where: str) -> str:
    if isinstance(value, list | tuple | set | np.ndarray | Mapping | bytes | bytearray | memoryview):
        raise InputError(f"{_cell(column, place, where)}: holds {_kind(value)}, not a text")
    return str(value)


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"a struct ({shorten(', '.join(map(str, value)))})"
    if isinstance(value, list | tuple | set | np.ndarray):
        return f"a list of {len(value)}"
    if isinstance(value, bytes | bytearray | memoryview):
        return "bytes"
    if isinstance(value, bool | np.bool_):
        return f"the boolean {value}"
    if isinstance(value, int | float | np.number):
        return f"the number {value}"
    return type(value).__name__


def _may_be_conversations(texts: Sequence[str]) -> bool:
    filled = [text for text in texts if text.strip()]
    return bool(filled) and all(text.lstrip().startswith("[") and "{" in text[:80] for text in filled)


def _unwritten(text: str) -> Any:
    """Return the list of messages that a text is, as JSON or as Python writes it, or else the text."""
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if _messages(found) is not None:
            return found
    return text


def _messages(value: Any) -> list[Mapping[str, Any]] | None:
    """Return chat messages, or None where a cell is something else."""
    entries = [value] if isinstance(value, Mapping) else value
    if not isinstance(entries, list | tuple | np.ndarray) or not len(entries):
        return None
    is_chat = all(
        isinstance(entry, Mapping) and any(speaks in entry and said in entry for speaks, said in _KEYS)
        for entry in entries
    )
    return list(entries) if is_chat else None


def _last_text(messages: Sequence[Mapping[str, Any]], speaker: Speaker) -> str | None:
    for message in reversed(messages):
        speaks, said = next(keys for keys in _KEYS if {*keys} <= message.keys())
        if str(message[speaks]).casefold() in _SPEAKERS[speaker]:
            text = text_of_parts(message[said])
            if text is not None and text.strip():
                return text
    return None


def text_of_parts(content: Any) -> str | None:
    """Return what a message says: its text, or the text parts of a list of parts; thoughts are none. None: no text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple | np.ndarray):
        return None
    texts = [
        part if isinstance(part, str) else part.get("text")
        for part in content
        if isinstance(part, str) or (isinstance(part, Mapping) and part.get("type", "text") in _TEXT_PARTS)
    ]
    return "".join(text for text in texts if isinstance(text, str)) or None
