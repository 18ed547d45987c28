"""Settings that a stage of training does not read, where somebody has given them all the same."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from valueflow.run import Settings, compose_settings


def given_in_vain(settings: Settings, keys: Iterable[str]) -> str | None:
    """Return the first of some settings that does not have the default of `configs/train.yaml`; None: all have it.

    Parameters
    ----------
    settings
        As checked, or being checked.
    keys
        Of settings that nothing reads; a dotted key names an entry of one (`data.names`).
    """
    return next((key for key in keys if _entry(settings, key) != _entry(_defaults(), key)), None)


@cache
def _defaults() -> Mapping[str, Any]:
    return compose_settings("train", {})


def _entry(node: Any, key: str) -> Any:
    for part in key.split("."):
        node = node[part] if isinstance(node, Mapping) else getattr(node, part)
    return node
