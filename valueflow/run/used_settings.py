"""Which of the composed settings have a part in a run: loggers show those alone."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from valueflow.run.settings import Settings

_REFERENCE = re.compile(r"\$\{(\w+)[.}]")


def used_settings(config: DictConfig, settings: Settings) -> dict[str, Any]:
    """Return the settings that have a part in a run, by key.

    Parameters
    ----------
    config
        As composed, with references to other settings (`${llm}`) as they were written.
    settings
        As checked; they know which of them a run has no use for.

    Returns
    -------
    dict
        Resolved; where null stands for an option, that option. Left out are the keys of other tasks of the command,
        those of `Settings.unused`, and what is null.
    """
    written: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    resolved: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    own = {key: entry for key, entry in written.items() if key in type(settings).model_fields}
    # What only an unused setting refers to has no part either.
    unused = settings.unused(_references(own))
    unused = settings.unused(_references({key: entry for key, entry in own.items() if key not in unused}))
    told = {key: _told(resolved[key], getattr(settings, key)) for key in own if key not in unused}
    return {key: _without(entry, key, unused) for key, entry in told.items() if entry is not None}


def _told(composed: Any, checked: Any) -> Any:
    """Return a setting as composed; of null the text or number that its check has put in its place, if it has."""
    return checked if composed is None and isinstance(checked, str | int | float) else composed


def _without(entry: Any, key: str, unused: Collection[str]) -> Any:
    """Leave out of a setting those of its own that have no part, named by dotted keys."""
    if not isinstance(entry, Mapping):
        return entry
    return {name: own for name, own in entry.items() if f"{key}.{name}" not in unused}


def _references(node: Any) -> set[str]:
    """Return the keys that the texts in a node refer to."""
    if isinstance(node, str):
        return set(_REFERENCE.findall(node))
    entries = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
    return {name for entry in entries for name in _references(entry)}
