"""A Hydra app around one function: composing, one-line errors, exit codes, resuming, logging.

An app's function takes the composed settings as keyword arguments plus `output_dir` and returns an
`Outcome`. All that Hydra apps share happens here; what happens at the end of a sweep is a Hydra
callback (`valueflow.reporting.sweep`), chosen in the app's YAML.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, Protocol

from hydra import main as hydra_main
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from valueflow.run.config import CONFIG_DIR, RUN_KEYS, built, group_lines, group_options
from valueflow.run.errors import InputError, nearest
from valueflow.run.folders import RunFolder
from valueflow.run.outputs import write_json
from valueflow.run.summary import ERROR_FILE, SUMMARY_FILE, fingerprint, read_record

EXIT_FAILED, EXIT_INPUT, EXIT_INTERRUPTED = 1, 2, 130

WITHOUT_EFFECT = ("progress", "cache")
"""Keys that change what a run shows or costs, not its result; at any depth of the settings."""

_UNSEEN = tuple(f"{key}=" for key in WITHOUT_EFFECT)

USER_FAULTS = (InputError, HydraException, OmegaConfBaseException)
"""What a user can cause and is told in one line."""

_log = logging.getLogger(__name__)

# Hydra copies the repository of configs for each group that a help could list, all of them whatever its template asks
# for, and with it this store, which is one a process and gives out copies of what it holds: two thirds of the time.
ConfigStore.__deepcopy__ = lambda store, memo: store


class Outcome(Protocol):
    """What an app's function returns."""

    @property
    def summary(self) -> dict[str, Any]:
        """Figures, counts, settings and timings of the run."""
        ...

    def tables(self) -> Mapping[str, Any]:
        """Return the tables of the run by name, for loggers."""
        ...

    def show(self) -> None:
        """Print the result for a person."""
        ...


class RunLogger(Protocol):
    """Takes a finished run to where runs are compared; the config group `logger` chooses one."""

    def log(
        self, outcome: Outcome, *, config: Mapping[str, Any], name: str, folder: Path, sweep_folder: Path | None
    ) -> None:
        """Record a run under its name, grouped with the other jobs of its sweep if it is part of one."""
        ...

    def curves(self, *, config: Mapping[str, Any], name: str, folder: Path, sweep_folder: Path | None) -> Any:
        """Return a Lightning logger that shows a training as it goes on, in the run that `log` will finish; or None."""
        ...


def run_app(config_name: str, load_job: Callable[[], Callable[..., Outcome]], *, trains: bool = False) -> None:
    """Run an app from the command line and exit.

    Parameters
    ----------
    config_name
        The app's primary YAML in `configs`.
    load_job
        Imports and returns the app's function; called only once there is work, so that `--help`
        need not wait for heavy libraries.
    trains
        Whether a job is a training: its function also takes `resume`, and a Lightning logger as `curves`; with
        resume=true, a single run goes on in the folder of the newest one that has the same overrides.

    Notes
    -----
    Exit codes: 0 done; 2 the input or settings cannot be used, told in one line; 1 a job of a sweep
    failed, or a fault in the program; 130 interrupted. A run that fails for its input leaves no
    folder behind; in a sweep, the failed job's folder keeps `error.json`.
    """
    # Hydra would print its own multi-line messages and exit 1; with this it raises instead.
    wants_traces = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv[1:] = _overrides_first(sys.argv[1:])
    _continue_earlier(sys.argv, config_name if trains else None)
    _refuse_null_options(sys.argv[1:])
    OmegaConf.register_new_resolver("groups", group_lines, replace=True)
    faults: list[Exception] = []

    @hydra_main(version_base="1.3", config_path=str(CONFIG_DIR), config_name=config_name)  # type: ignore[untyped-decorator]
    def app(config: DictConfig) -> None:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            _run_sweep_job(config, load_job, trains)
            return
        try:
            _run_job(config, load_job, trains)
        except USER_FAULTS as error:
            # Hydra would print a line of its own for an error that leaves this function.
            faults.append(error)

    try:
        app()
        if faults:
            raise faults[0]
    except KeyboardInterrupt:
        _stop("interrupted; the same command with resume=true keeps a sweep's finished jobs", EXIT_INTERRUPTED)
    except USER_FAULTS as error:
        if wants_traces:
            raise
        RunFolder.discard()
        _stop(one_line(error), EXIT_INPUT)


def _run_job(config: DictConfig, load_job: Callable[[], Callable[..., Outcome]], trains: bool) -> None:
    """Run one job in Hydra's output folder: a single run, or a job of a sweep."""
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise InputError(f"'{missing[0]}' is not set; give {missing[0]}=..., see --help")
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    options = {key: settings.pop(key, None) for key in RUN_KEYS}
    if not isinstance(options["resume"], bool | None):
        raise InputError(f"resume={options['resume']}: give true or false")
    mark = fingerprint(_decisive(settings))
    if options["resume"] and _is_finished(folder, mark):
        _log.info("%s is done already", folder)
        return
    logger: RunLogger | None = built(options["logger"])
    is_sweep = hydra.mode == RunMode.MULTIRUN
    place: dict[str, Any] = {
        "config": settings,
        "name": hydra.job.override_dirname or hydra.job.name,
        "folder": folder,
        "sweep_folder": Path(hydra.sweep.dir) if is_sweep else None,
    }
    more: dict[str, Any] = {}
    if trains:
        more = {"resume": bool(options["resume"]), "curves": logger.curves(**place) if logger is not None else None}
    outcome = load_job()(**settings, **more, output_dir=folder)
    if not is_sweep:
        outcome.show()
    if logger is not None:
        logger.log(outcome, **place)
    # Written last: its presence is what makes a job count as finished.
    (folder / ERROR_FILE).unlink(missing_ok=True)
    write_json({**outcome.summary, "job": hydra.job.override_dirname, "fingerprint": mark}, folder / SUMMARY_FILE)


def _run_sweep_job(config: DictConfig, load_job: Callable[[], Callable[..., Outcome]], trains: bool) -> None:
    """Run one job of a sweep; what fails is recorded in its folder, and the other jobs go on."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        _run_job(config, load_job, trains)
    except USER_FAULTS as error:
        _log.error("%s", one_line(error))
        _record_failure(folder, one_line(error), of_input=True)
    except Exception as error:
        _log.exception("the job failed")
        _record_failure(folder, f"{type(error).__name__}: {error}", of_input=False)


def _record_failure(folder: Path, fault: str, *, of_input: bool) -> None:
    # A job can fail after its result is written, in its logger; it is not finished then.
    (folder / SUMMARY_FILE).unlink(missing_ok=True)
    write_json({"error": fault, "input": of_input}, folder / ERROR_FILE)


def _decisive(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _decisive(entry) for key, entry in node.items() if key not in WITHOUT_EFFECT}
    return [_decisive(entry) for entry in node] if isinstance(node, list) else node


def _is_finished(folder: Path, mark: str) -> bool:
    recorded = read_record(folder / SUMMARY_FILE)
    return recorded is not None and recorded.get("fingerprint") == mark


def _refuse_null_options(arguments: Iterable[str]) -> None:
    """Stop at `group=null`, of which Hydra makes a traceback."""
    for argument in arguments:
        group, given, option = argument.partition("=")
        options = group_options(group) if given and option == "null" and group.isidentifier() else []
        if options:
            _stop(f"{argument}: a group takes one of its options; {nearest('none', options)}", EXIT_INPUT)


def _overrides_first(arguments: list[str]) -> list[str]:
    """Put overrides before flags: Hydra's parser takes no override after a flag that follows another."""
    overrides = [argument for argument in arguments if "=" in argument and not argument.startswith("-")]
    return overrides + [argument for argument in arguments if argument not in overrides]


def _continue_earlier(arguments: list[str], job: str | None) -> None:
    """With resume=true, point Hydra at the newest folder that the same overrides made.

    The folder is named on the command line itself (`hydra.sweep.dir=...`), so that jobs that a
    launcher runs in other processes get it too. Where the user names a folder, that one is used.

    Parameters
    ----------
    arguments
        Of the command line; changed in place.
    job
        The app, where its single runs can be resumed too; None: sweeps alone.
    """
    if "resume=true" not in [argument.lower() for argument in arguments]:
        return
    if any(argument.startswith(("hydra.sweep.dir=", "hydra.run.dir=")) for argument in arguments):
        return
    is_sweep = bool({"-m", "--multirun"} & set(arguments))
    may_be_sweep = is_sweep or any("experiment=" in argument for argument in arguments)
    wanted = _own_overrides(arguments[1:])
    found = _earlier_run(wanted, job) if job and not is_sweep else None
    found = found or (_earlier_sweep(wanted) if may_be_sweep else None)
    if found:
        arguments.insert(1, found)
    elif may_be_sweep or job:
        print(
            f"nothing to resume: no earlier {'sweep' if may_be_sweep else 'run'} has these overrides", file=sys.stderr
        )


def _earlier_sweep(wanted: list[str]) -> str | None:
    for file in sorted(Path("multirun").glob("*/*/multirun.yaml"), reverse=True):
        if _own_overrides(OmegaConf.load(file).hydra.overrides.task) == wanted:
            return f"hydra.sweep.dir={file.parent}"
    return None


def _earlier_run(wanted: list[str], job: str) -> str | None:
    for file in sorted(Path("outputs").glob("*/*/.hydra/overrides.yaml"), reverse=True):
        is_ours = OmegaConf.load(file.with_name("hydra.yaml")).hydra.job.name == job
        if is_ours and _own_overrides(OmegaConf.load(file)) == wanted:
            return f"hydra.run.dir={file.parents[1]}"
    return None


def _own_overrides(arguments: Iterable[str]) -> list[str]:
    """Return the overrides that make a sweep what it is, sorted."""
    return sorted(
        argument
        for argument in arguments
        if "=" in argument and not argument.startswith(("-", "hydra", "resume=", "logger", *_UNSEEN))
    )


def one_line(error: Exception) -> str:
    """Word an error of ours, of Hydra or of OmegaConf as one line with the nearest right name."""
    if isinstance(error, InputError):
        return str(error)
    cause = error.__cause__
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options is not None:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return str(InputError(f"{group} '{option}' is unknown; {nearest(option, error.options)}"))
    text = str(error)
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        key = str(cause.full_key or cause.key)
        known = [str(name) for name in cause.parent_node] if isinstance(cause.parent_node, DictConfig) else []
        known = [name for name in known if name != "hydra"]
        return str(InputError(f"'{key}' is no setting; {nearest(key.rpartition('.')[2], known)}"))
    if "Ambiguous value" in text or "requires --multirun" in text:
        return str(InputError(f"{text.splitlines()[0]}; several values are a sweep: add -m"))
    if isinstance(error, OverrideParseException):
        return str(InputError(f"cannot read '{error.override}' as an override: {text.splitlines()[0]}"))
    lines = [line.strip() for line in f"{text}\n{cause or ''}".splitlines() if line.strip()]
    return str(InputError("; ".join(lines[:3])))


def _stop(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)
