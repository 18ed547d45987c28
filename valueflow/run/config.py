"""Where the configuration groups lie, and how a Python caller gets the same defaults as the apps."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import valueflow
from valueflow.run.errors import InputError, nearest
from valueflow.run.settings import first_fault

_PACKAGE = Path(valueflow.__file__).parent
# A wheel carries the groups inside the package; a checkout keeps them beside it.
CONFIG_DIR = next(folder for folder in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if folder.is_dir())


RUN_KEYS = ("logger", "resume")
"""Keys of every app's YAML that say how to run, not what: no setting of the app's function."""


@contextmanager
def _hydra_composer() -> Iterator[None]:
    """Let Hydra compose from our groups, also inside an app that Hydra runs: its own state is put back."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    state = GlobalHydra.instance()
    outer, state.hydra = state.hydra, None
    try:
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            yield
    finally:
        # Leaving the block above has put another state object in place.
        GlobalHydra.instance().hydra = outer


def group_options(group: str) -> list[str]:
    """Return the names of a config group's options, sorted: the YAML files in `configs/<group>`."""
    return sorted(path.stem for path in (CONFIG_DIR / group).glob("*.yaml"))


def compose_group(group: str, option: str) -> dict[str, Any]:
    """Compose one option of a config group, as `group=option` would on the command line.

    Raises
    ------
    InputError
        The group has no such option.
    """
    from hydra import compose
    from omegaconf import OmegaConf

    if option not in group_options(group):
        raise InputError(f"{group} '{option}' is unknown; {nearest(option, group_options(group))}")
    with _hydra_composer():
        node = compose(overrides=[f"+{group}={option}"])[group]
    return OmegaConf.to_container(node, resolve=True)  # type: ignore[return-value]


def compose_settings(config_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the settings of a Python caller with the defaults of an app.

    Parameters
    ----------
    config_name
        The app's primary YAML, such as `evaluate`.
    given
        Settings by key. A string for a config group names one of its options; anything else,
        objects included, is passed on as it is.

    Returns
    -------
    dict
        Every key of the app's config but Hydra's own and `RUN_KEYS`, the given ones in place of the defaults.
    """
    chosen = {key: option for key, option in given.items() if isinstance(option, str) and _is_group(key)}
    others = {key: setting for key, setting in given.items() if key not in chosen}
    composed = _compose(config_name, chosen, {key: setting for key, setting in others.items() if _is_plain(setting)})
    settings: dict[str, Any] = composed | others
    return {key: setting for key, setting in settings.items() if key not in RUN_KEYS or key in given}


def compose_node(config_name: str, key: str, overrides: Mapping[str, Any]) -> Any:
    """Compose an app's configuration with overrides and return one of its nodes, resolved.

    Parameters
    ----------
    config_name
        The app's primary YAML, such as `evaluate`.
    key
        The node, such as `judge`.
    overrides
        What would stand on the command line: `{"judge": "llm", "llm": "phi4", "llm.dtype": "float16"}`.

    Raises
    ------
    InputError
        A key or option is unknown, or a key that the node needs is not set.
    """
    # A mapping in a group's place is an option that has been composed already.
    chosen = {
        name: str(option) for name, option in overrides.items() if _is_group(name) and not isinstance(option, Mapping)
    }
    others = {name: setting for name, setting in overrides.items() if name not in chosen}
    node = _compose(config_name, chosen, others, strictly=True)[key]
    missing = next(_missing(node, key), None)
    if missing:
        raise InputError(f"'{missing}' is not set")
    return node


def _missing(node: Any, key: str) -> Iterator[str]:
    if node == "???":
        yield key
    elif isinstance(node, Mapping):
        for name, entry in node.items():
            yield from _missing(entry, f"{key}.{name}")


def _compose(
    config_name: str, options: Mapping[str, str], settings: Mapping[str, Any], *, strictly: bool = False
) -> dict[str, Any]:
    """Compose with options of groups, then settings by (dotted) key, so that interpolations see both.

    Where it need not be strict, a key that the configuration lacks is left to whoever reads the settings.
    """
    from hydra import compose
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for group, option in options.items():
        if option not in group_options(group):
            raise InputError(f"{group} '{option}' is unknown; {nearest(option, group_options(group))}")
    with _hydra_composer():
        composed = compose(config_name, overrides=[f"{group}={option}" for group, option in options.items()])
    for key, setting in settings.items():
        if not strictly and key not in composed:
            continue
        try:
            OmegaConf.update(composed, key, setting, merge=False)
        except OmegaConfBaseException as error:
            parent = OmegaConf.select(composed, key.rpartition(".")[0]) if "." in key else composed
            known = [str(name) for name in parent] if isinstance(parent, Mapping) else []
            raise InputError(f"'{key}' is no setting; {nearest(key.rpartition('.')[2], known)}") from error
    return OmegaConf.to_container(composed, resolve=True)  # type: ignore[return-value]


def _is_group(key: str) -> bool:
    return (CONFIG_DIR / key).is_dir()


def _is_plain(setting: object) -> bool:
    """Tell whether a YAML file could hold it."""
    if isinstance(setting, Mapping):
        return all(isinstance(key, str) and _is_plain(entry) for key, entry in setting.items())
    if isinstance(setting, list | tuple):
        return all(_is_plain(entry) for entry in setting)
    return setting is None or isinstance(setting, str | int | float | bool)


def built(node: object) -> Any:
    """Build the object that a config node describes by its `_target_`; anything else is returned as it is.

    A target of null builds nothing, and None is returned.

    Raises
    ------
    InputError
        The target does not exist or does not take the given arguments.
    """
    if not (isinstance(node, Mapping) and "_target_" in node):
        return node
    if node["_target_"] is None:
        return None
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, InputError):
            raise cause from None
        if isinstance(cause, ValidationError):
            raise InputError(f"{cause.title}: {first_fault(cause)}") from error
        reason = str(cause or error).splitlines()[0]
        raise InputError(f"{node['_target_']} cannot be built: {reason}") from error
