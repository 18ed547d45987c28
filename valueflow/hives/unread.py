"""Settings that a stage of training or its teacher does not read, where somebody has given them all the same."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from valueflow.run import Settings, compose_settings


def given_in_vain(settings: Settings | Mapping[str, Any], keys: Iterable[str]) -> str | None:
    """Return the first of some settings that does not have the default of `configs/train.yaml`; None: all have it.

    Parameters
    ----------
    settings
        As composed, as checked, or being checked.
    keys
        Of settings that nothing reads; a dotted key names an entry of one (`data.names`).
    """
    return next((key for key in keys if _entry(settings, key) != _entry(_defaults(), key)), None)


def unread_by(node: Any, settings: Mapping[str, Any], keys: Iterable[str]) -> list[str]:
    """Return those of some settings that an option of a group does not refer to.

    Parameters
    ----------
    node
        The option as composed, where references (`${llm}`) stand for what they refer to; or an object that a Python
        caller gives in its place, which refers to nothing.
    settings
        All settings, as composed.
    keys
        Of those that are looked for. One is read if it stands anywhere in the option, or if a text of its own does that
        is not the default's (`${llm.model}`).
    """
    found = list(_parts(node))
    return [key for key in keys if not any(part in found for part in (settings[key], *_own_texts(settings, key)))]


def _parts(node: Any) -> Iterator[Any]:
    """Yield the entries of an option, at any depth."""
    for entry in node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ():
        yield entry
        yield from _parts(entry)


def _own_texts(settings: Mapping[str, Any], key: str) -> list[str]:
    usual = list(_parts(_defaults()[key]))
    return [part for part in _parts(settings[key]) if isinstance(part, str) and part not in usual]


@cache
def _defaults() -> Mapping[str, Any]:
    return compose_settings("train", {})


def _entry(node: Any, key: str) -> Any:
    for part in key.split("."):
        node = node[part] if isinstance(node, Mapping) else getattr(node, part)
    return node
