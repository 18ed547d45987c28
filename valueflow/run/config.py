"""Where the configuration groups lie, and how a Python caller gets the same defaults as the apps."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import valueflow
from valueflow.run.errors import InputError, nearest

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
    from hydra import compose
    from omegaconf import OmegaConf

    chosen = {key: option for key, option in given.items() if isinstance(option, str) and (CONFIG_DIR / key).is_dir()}
    for group, option in chosen.items():
        if option not in group_options(group):
            raise InputError(f"{group} '{option}' is unknown; {nearest(option, group_options(group))}")
    with _hydra_composer():
        composed = compose(config_name, overrides=[f"{group}={option}" for group, option in chosen.items()])
    defaults: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
    settings = defaults | {key: setting for key, setting in given.items() if key not in chosen}
    return {key: setting for key, setting in settings.items() if key not in RUN_KEYS or key in given}


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
        return instantiate(node)
    except InstantiationException as error:
        if isinstance(error.__cause__, InputError):
            raise error.__cause__ from None
        reason = str(error.__cause__ or error).splitlines()[0]
        raise InputError(f"{node['_target_']} cannot be built: {reason}") from error
