"""Settings in a benchmark's arguments, written as on the command line of the apps."""

from collections.abc import Iterable
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser


def parse_overrides(overrides: Iterable[str]) -> dict[str, Any]:
    """Return keys and parsed values of `key=value`, where a value may be a list: `judge.wordings=[one,two]`."""
    return {part.key_or_group: part.value() for part in OverridesParser.create().parse_overrides(list(overrides))}
