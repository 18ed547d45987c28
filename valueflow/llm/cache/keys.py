"""The names of requests in the cache: what decides a completion decides its key."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields

from valueflow.llm.protocol import Conversation, Sampling


def request_key(identity: Mapping[str, object], conversation: Conversation, sampling: Sampling) -> str:
    """Return the SHA-256 of a request, in hexadecimal; `identity` is what `ChatModel.identity` returns."""
    (key,) = request_keys(identity, [conversation], [sampling])
    return key


def request_keys(
    identity: Mapping[str, object], conversations: Iterable[Conversation], samplings: Iterable[Sampling]
) -> Iterator[str]:
    """Return the same of each request of a batch; what neighbors share is written once."""
    model = as_json(dict(identity), sort_keys=True)
    latest, drawing = None, ""
    for conversation, sampling in zip(conversations, samplings, strict=True):
        # Not by equality: schemas are equal whatever the order of their members.
        if sampling is not latest:
            latest, drawing = sampling, _sampling_as_json(sampling)
        messages = as_json([dict(message) for message in conversation], sort_keys=True)
        request = f'{{"identity": {model}, "messages": {messages}, "sampling": {drawing}}}'
        yield hashlib.sha256(as_bytes(request)).hexdigest()


def _sampling_as_json(sampling: Sampling) -> str:
    constraint = sampling.constraint
    decisive = {
        field.name: getattr(sampling, field.name)
        for field in fields(sampling)
        # Newer than caches that are already there, whose keys do not have them.
        if field.name not in ("top_logprobs", "words", "additions") or getattr(sampling, field.name)
    }
    if sampling.additions:
        decisive["additions"] = [one.as_json() for one in sampling.additions]
    decisive["temperature"] = float(sampling.temperature)
    # Servers write an object's members in the order of its schema, so that order counts: the schema goes in as a text
    # of its own, which is not sorted.
    decisive["constraint"] = constraint and [constraint.name, constraint.grammar, as_json(constraint.schema)]
    return as_json(decisive, sort_keys=True)


def as_json(value: object, *, sort_keys: bool = False) -> str:
    """Write JSON without escapes, which would write two lone surrogates in a row like the character of a pair."""
    return json.dumps(value, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False, default=_as_dict)


def as_bytes(text: str) -> bytes:
    """Encode a text, lone surrogates included."""
    return text.encode("utf-8", "surrogatepass")


def _as_dict(value: object) -> dict[object, object]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} in a request cannot be written as JSON")
