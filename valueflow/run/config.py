"""Where the configuration groups lie, and how a Python caller gets the same defaults as the apps."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from valueflow.run.errors import InputError, nearest, unknown_setting
from valueflow.run.open_options import opened
from valueflow.run.settings import Settings, first_fault

_PACKAGE = Path(__file__).parents[1]
# A wheel carries the groups inside the package; a checkout keeps them beside it.
CONFIG_DIR = next(folder for folder in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if folder.is_dir())


RUN_KEYS = ("logger", "resume", "report", "shard", "merge", "optimized_metric")
"""Keys of every app's YAML that say how to run, not what: no setting of the app's function."""


def _config_dirs() -> list[Path]:
    """Return our groups' folder, and inside an app also the user's own (`--config-dir`)."""
    from hydra.core.hydra_config import HydraConfig

    sources = HydraConfig.get().runtime.config_sources if HydraConfig.initialized() else []
    return [CONFIG_DIR, *(Path(source.path) for source in sources if source.provider == "command-line")]


@contextmanager
def _hydra_composer() -> Iterator[Callable[[str | None, list[str]], Any]]:
    """Let Hydra compose from the groups, also inside an app that Hydra runs: its own state is put back.

    Yields
    ------
    Callable
        Takes the name of the primary YAML, or none, and overrides.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    searched = ",".join(f"'file://{folder}'" for folder in _config_dirs()[1:])
    state = GlobalHydra.instance()
    outer, state.hydra = state.hydra, None
    try:
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            yield lambda name, overrides: compose(name, overrides=[f"hydra.searchpath=[{searched}]", *overrides])
    finally:
        # Leaving the block above has put another state object in place.
        GlobalHydra.instance().hydra = outer


def group_options(group: str) -> list[str]:
    """Return the names of a config group's options, sorted: the YAML files in `configs/<group>` and the user's own."""
    files = [path for folder in _config_dirs() for path in (folder / group).glob("*.yaml")]
    return sorted({path.stem for path in files if not path.name.startswith(".")})


def option_with(group: str, base: str, key: str, name: str) -> str | None:
    """Return the option of a group that is another one, `base`, with this name at a key; None where there is none."""
    from omegaconf import OmegaConf

    for option in group_options(group):
        file = next(path for path in (folder / group / f"{option}.yaml" for folder in _config_dirs()) if path.is_file())
        content: Any = OmegaConf.load(file)
        if content.get(key) == name and base in content.get("defaults", []):
            return option
    return None


def compose_group(group: str, option: str) -> dict[str, Any]:
    """Compose one option of a config group, as `group=option` would on the command line.

    Raises
    ------
    InputError
        The group has no such option.
    """
    from omegaconf import OmegaConf

    _check_option(group, option)
    with _hydra_composer() as compose:
        node = compose(None, [f"+{group}={option}"])[group]
    return OmegaConf.to_container(node, resolve=True)  # type: ignore[return-value]


def compose_settings(config_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the settings of a Python caller with the defaults of an app.

    Parameters
    ----------
    config_name
        The app's primary YAML, such as `evaluate`.
    given
        Settings by key. A string for a config group names one of its options (or what `opened` makes one), a dotted key
        (`llm.model`) sets one of an option's own; anything else, objects included, is passed on as it is.

    Returns
    -------
    dict
        Every key of the app's config but Hydra's own and `RUN_KEYS`, the given ones in place of the defaults.

    Raises
    ------
    InputError
        An option or a dotted key is unknown, or what a chosen option needs is not set.
    """
    given = opened(given, option_with)
    chosen = {key: option for key, option in given.items() if isinstance(option, str) and _is_group(key)}
    others = {key: setting for key, setting in given.items() if key not in chosen}
    # What other keys may refer to takes part in composing; tables and the like are only handed on.
    composing = {key: setting for key, setting in others.items() if _is_plain(setting) or isinstance(setting, Settings)}
    composed = _compose(config_name, chosen, composing)
    settings: dict[str, Any] = composed | {key: setting for key, setting in others.items() if "." not in key}
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
        What would be written on the command line: `{"judge": "llm", "llm": "phi4", "llm.dtype": "float16"}`.

    Raises
    ------
    InputError
        A key or option is unknown.
    """
    overrides = opened(overrides, option_with)
    # A mapping in a group's place is an option that has been composed already.
    chosen = {
        name: str(option) for name, option in overrides.items() if _is_group(name) and not isinstance(option, Mapping)
    }
    others = {name: setting for name, setting in overrides.items() if name not in chosen}
    return _compose(config_name, chosen, others, strictly=True)[key]


def _compose(
    config_name: str, options: Mapping[str, str], settings: Mapping[str, Any], *, strictly: bool = False
) -> dict[str, Any]:
    """Compose with options of groups, then settings by (dotted) key, so that interpolations see both.

    Where it need not be strict, a key without dots that the configuration lacks is left to whoever reads the settings.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for group, option in options.items():
        _check_option(group, option)
    with _hydra_composer() as compose:
        composed = compose(config_name, [f"{group}={option}" for group, option in options.items()])
    composed._set_flag("allow_objects", True)
    for key, setting in settings.items():
        if not strictly and "." not in key and key not in composed:
            continue
        try:
            OmegaConf.update(composed, key, literal(setting), merge=False)
        except OmegaConfBaseException as error:
            parent = OmegaConf.select(composed, key.rpartition(".")[0]) if "." in key else composed
            known = [str(name) for name in parent] if isinstance(parent, Mapping) else []
            raise InputError(unknown_setting(key, known)) from error
    try:
        return OmegaConf.to_container(composed, resolve=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        unset = sorted(OmegaConf.missing_keys(composed), key=lambda key: "." not in key)
        raise InputError(not_set(unset[0]) if unset else str(error).splitlines()[0]) from error


def _check_option(group: str, option: str) -> None:
    if option not in group_options(group):
        raise InputError(f"{group} '{option}' is unknown; {nearest(option, group_options(group))}")


def literal(setting: Any) -> Any:
    """Escape what OmegaConf would take for an interpolation: a user's text is what it is."""
    if isinstance(setting, str):
        return re.sub(r"(\\*)\$\{", r"\1\1\\${", setting)
    if isinstance(setting, Mapping):
        return {key: literal(entry) for key, entry in setting.items()}
    if isinstance(setting, list | tuple):
        return [literal(entry) for entry in setting]
    return setting


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
        The target does not exist or does not take the given arguments, or one that it needs is not set.
    """
    if not (isinstance(node, Mapping) and "_target_" in node):
        return node
    if node["_target_"] is None:
        return None
    require_set(node)
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(literal(node), _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, InputError):
            raise cause from None
        if isinstance(cause, ValidationError):
            raise InputError(f"{cause.title}: {first_fault(cause)}") from error
        reason = str(cause or error).splitlines()[0]
        raise InputError(f"{node['_target_']} cannot be built: {reason}") from error


def require_set(settings: Mapping[str, Any]) -> None:
    """Stop where a setting, at any depth, is still `???`: what a YAML file holds that has no default.

    Raises
    ------
    InputError
        Names the first of them, those at the top before nested ones.
    """
    missing = list(_missing(settings))
    if missing:
        # A node that another refers to is missing in both; users set the outer one.
        raise InputError(not_set(min(missing, key=lambda key: key.count("."))))


def not_set(key: str) -> str:
    """Word that a key must be given."""
    return f"'{key}' is not set; give {key}=..., see --help"


def _missing(node: Mapping[str, Any]) -> Iterator[str]:
    for key, entry in node.items():
        if isinstance(entry, str) and entry == "???":
            yield str(key)
        elif isinstance(entry, Mapping):
            yield from (f"{key}.{name}" for name in _missing(entry))
