"""Completions as bytes in a database, the same ones in every kind of database."""

import json
from collections.abc import Iterable, Sequence

from valueflow.llm.cache.keys import as_bytes, as_json
from valueflow.llm.prompting import without_thoughts
from valueflow.llm.protocol import Completion


def answers_of(entries: Sequence[tuple[str, Completion]]) -> dict[str, Completion]:
    """Return what is worth keeping of new completions: the first answer to each request, no failure and no silence."""
    answers: dict[str, Completion] = {}
    for key, completion in entries:
        if not completion.error and completion.text.strip():
            answers.setdefault(key, completion)
    return answers


def readable(rows: Iterable[tuple[str, bytes]]) -> dict[str, Completion]:
    """Return the completions of rows with key and value; one that cannot be read, or holds no answer, is left out."""
    found: dict[str, Completion] = {}
    for key, value in rows:
        completion = _decoded(value)
        if completion is not None and completion.text.strip():
            found[key] = completion
    return found


def encoded(completion: Completion) -> bytes:
    """Return the value of a completion: JSON in UTF-8, lone surrogates included."""
    stored = {
        "text": completion.text,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        # The name in caches that are already there.
        "cut": completion.truncated,
    }
    # Left out where there are none, so that records stay what they were.
    logprobs = {} if completion.logprobs is None else {"logprobs": dict(completion.logprobs)}
    return as_bytes(as_json(stored | logprobs))


def storable_name(model: str) -> str:
    """Return a name that a database takes as text; a folder's can hold bytes that are none."""
    return model.encode("utf-8", "backslashreplace").decode()


def _decoded(value: bytes) -> Completion | None:
    try:
        stored = json.loads(value.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    match stored:
        case {
            "text": str(text),
            "prompt_tokens": int(prompt_tokens),
            "completion_tokens": int(completion_tokens),
            "cut": bool(truncated),
        }:
            logprobs = stored.get("logprobs")
            if logprobs is not None and not _are_logprobs(logprobs):
                return None
            said = without_thoughts(text)
            return Completion(
                said.answer,
                prompt_tokens,
                completion_tokens,
                truncated,
                cached=True,
                has_thought=said.thinks,
                logprobs=None if said.thinks else logprobs,
            )
    return None


def _are_logprobs(stored: object) -> bool:
    return isinstance(stored, dict) and all(
        isinstance(figure, int | float) and not isinstance(figure, bool) for figure in stored.values()
    )
