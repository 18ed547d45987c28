"""YAML files of the configuration, parsed once a process: every command composes some thirty of them."""

import copy
from collections.abc import Callable
from typing import Any

import yaml

_parsed: dict[str, Any] = {}


def parse_yaml_once() -> None:
    """Let OmegaConf parse each text once; what it does with the result is as before.

    Files that change are parsed again, as their text is another one. One with an error is never kept.
    """
    parse: Callable[..., Any] = yaml.load

    def load(stream: Any, Loader: Any) -> Any:  # noqa: N803  PyYAML's own name
        if Loader.__name__ != "OmegaConfLoader" or not hasattr(stream, "seek"):
            return parse(stream, Loader=Loader)
        text = stream.read()
        if text not in _parsed:
            stream.seek(0)
            _parsed[text] = parse(stream, Loader=Loader)
        return copy.deepcopy(_parsed[text])

    yaml.load = load  # type: ignore[assignment]
