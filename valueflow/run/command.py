"""A command line around a task: Hydra composes, one-line errors, exit codes, records for resuming, loggers."""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from hydra import main as hydra_main
from hydra._internal.hydra import Hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from valueflow.run.arguments import (
    check_flags,
    how_to_quote,
    overrides_first,
    with_open_options,
    with_positional,
    with_quotes,
)
from valueflow.run.config import CONFIG_DIR, RUN_KEYS, group_options, require_set
from valueflow.run.errors import InputError, UnfinishedError, nearest, unknown_setting
from valueflow.run.folders import RunFolder
from valueflow.run.help import group_help, key_help
from valueflow.run.launching import Sweep, adopt, is_searching, job_tag, recorded_launches
from valueflow.run.optimizing import optimized_metric
from valueflow.run.outputs import write_json
from valueflow.run.pipes import patient_output
from valueflow.run.recording import RunInfo, built_loggers, recording
from valueflow.run.resuming import continue_earlier, is_finished, result_settings, was_requeued
from valueflow.run.settings import Settings
from valueflow.run.shards import DIVISION_KEYS
from valueflow.run.summary import ERROR_FILE, LEFT_UNDONE, SUMMARY_FILE, fingerprint, read_record, versions
from valueflow.run.sweep import EXIT_FAILED, EXIT_INPUT, end_sweep
from valueflow.run.task import Outcome, Task
from valueflow.run.used_settings import used_settings

EXIT_INTERRUPTED = 130

USER_FAULTS = (InputError, HydraException, OmegaConfBaseException)
"""Errors that a user can cause, printed as one line."""

_OF_COMPOSING = (ValueError, TypeError, IndexError, AssertionError)
"""What composing may raise for settings that cannot be, besides the errors that are meant for users."""

_HELP_FLAGS = {"--help", "-h", "--hydra-help"}

_EXTRAS = {
    "hydra/launcher/joblib": "joblib",
    "hydra/launcher/submitit_local": "submitit",
    "hydra/launcher/submitit_slurm": "submitit",
    "hydra/launcher/ray": "ray",
    "hydra/sweeper/optuna": "optuna",
}
"""Extras of this package that hold the plugins behind options of Hydra's own groups."""

_log = logging.getLogger(__name__)

AnyTask = Task[Any, Any]

Metric = float | tuple[float, ...] | None
"""What a search of settings looks at; None where nothing does."""

Report = Callable[[Path], Path]
"""Writes a page about the runs in a folder into it, and returns its path."""


def run_command(
    name: str, load_task: Callable[[], AnyTask], positional: str | None = None, report: Report | None = None
) -> None:
    """Run a command from the command line and exit.

    Parameters
    ----------
    name
        The command, and its primary YAML in `configs`.
    load_task
        Imports and returns the task; called only once there is work, so that `--help` need not wait for heavy
        libraries.
    positional
        Key of a list of paths that may also be given as plain arguments.
    report
        What `report=true` calls once a run or a sweep has ended.

    Notes
    -----
    Exit codes: 0 done; 2 the input or settings cannot be used, said in one line; 1 a job of a sweep failed, or what was
    to be done with complete results (an upload, a report), or a fault in the program; 130 interrupted. A run that fails
    for its input leaves no folder behind; in a sweep, the failed job's folder keeps `error.json`.
    """
    with patient_output():
        _run(name, load_task, positional, report)


def _run(name: str, load_task: Callable[[], AnyTask], positional: str | None, report: Report | None) -> None:
    if "--version" in sys.argv[1:]:
        print(f"valueflow {versions()['valueflow']}")
        return
    wants_traces = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        with _process_state(positional):
            code = _run_hydra(name, load_task, report)
    except KeyboardInterrupt:
        _stop("interrupted; the same command with resume=true keeps a sweep's finished jobs", EXIT_INTERRUPTED)
    except UnfinishedError as error:
        _stop(str(error), EXIT_FAILED)
    except USER_FAULTS as error:
        if wants_traces:
            raise
        RunFolder.discard()
        _stop(one_line(error), EXIT_INPUT)
    if code:
        raise SystemExit(code)


@contextmanager
def _process_state(positional: str | None) -> Iterator[None]:
    """Prepare arguments and environment for Hydra, and put everything back."""
    argv, traces = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    arguments = argv[1:] if positional is None else with_positional(argv[1:], positional)
    check_flags(arguments)
    sys.argv = [argv[0], *overrides_first(with_quotes(with_open_options(arguments)))]
    # Hydra would print its own multi-line messages and exit 1; with this it raises instead.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    RunFolder.reset()
    try:
        with _quick_help() if _HELP_FLAGS & {*argv} else nullcontext():
            yield
    finally:
        sys.argv = argv
        if traces is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = traces


@contextmanager
def _quick_help() -> Iterator[None]:
    """Spare Hydra what takes most of the time of a help page.

    It copies its store of configs once for each group, and it lists all groups and options for any page, of which only
    its own (`--hydra-help`) shows them.
    """
    ConfigStore.__deepcopy__ = lambda store, memo: store
    listed = Hydra.format_config_groups
    if "--hydra-help" not in sys.argv:
        Hydra.format_config_groups = lambda hydra, predicate, compact=True: ""
    try:
        yield
    finally:
        Hydra.format_config_groups = listed
        del ConfigStore.__deepcopy__


def _run_hydra(name: str, load_task: Callable[[], AnyTask], report: Report | None) -> int:
    """Compose and run the job or jobs; return the exit code."""
    _refuse_null_options(sys.argv[1:])
    continue_earlier(sys.argv, name, lambda: load_task().trains)
    OmegaConf.register_new_resolver("groups", lambda: group_help(name), replace=True)
    OmegaConf.register_new_resolver("keys", lambda: key_help(name), replace=True)
    faults: list[Exception] = []
    begun: list[bool] = []
    reported: list[Path] = []
    least = 0

    @hydra_main(version_base="1.3", config_path=str(CONFIG_DIR), config_name=name)  # type: ignore[untyped-decorator]
    def app(config: DictConfig) -> Metric:
        begun.append(True)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            return _run_sweep_job(config, load_task)
        try:
            return _run_job(config, load_task, reported)
        except USER_FAULTS as error:
            # Hydra would print a line of its own for an error that leaves this function.
            faults.append(error)
            return None

    with recorded_launches() as sweeps:
        try:
            app()
        except KeyboardInterrupt:
            if sweeps:
                end_sweep(load_task().sweep, sweeps[0])
            raise
        except Exception as error:
            if isinstance(error, _OF_COMPOSING) and not (begun or sweeps or isinstance(error, USER_FAULTS)):
                raise _not_composed(error, sys.argv[1:]) from error
            if not sweeps:
                raise
            # A worker that was killed, a launcher or a later job that could not begin: what is finished is shown.
            kind = "" if isinstance(error, USER_FAULTS) else f"{type(error).__name__}: "
            print(f"error: {kind}{one_line(error)}", file=sys.stderr)
            least = EXIT_FAILED
    if sweeps:
        page = partial(_page, report=report) if report is not None and _wants_report(sweeps[0]) else None
        return end_sweep(load_task().sweep, sweeps[0], least, page)
    has_no_page = report is not None and any(_page(folder, report) is None for folder in reported)
    if faults:
        raise faults[0]
    return EXIT_FAILED if has_no_page else 0


def _wants_report(sweep: Sweep) -> bool:
    """Return whether the jobs of a sweep were to be reported, from the settings that Hydra has saved of them."""
    sweep.find_folders()
    files = [job.folder / ".hydra" / "config.yaml" for job in sweep.jobs if job.folder is not None]
    return any(OmegaConf.select(OmegaConf.load(file), "report") is True for file in files[:1] if file.is_file())


def _page(folder: Path, report: Report) -> Path | None:
    """Write a page about a run or a sweep that has ended; a fault there costs nothing but the page."""
    try:
        page = report(folder)
    except USER_FAULTS as error:
        _log.error("no report: %s; the results are complete", one_line(error))
        return None
    except Exception:
        _log.exception("the report failed; the results are complete")
        return None
    print(f"report: {page}")
    return page


def _run_job(config: DictConfig, load_task: Callable[[], AnyTask], reported: list[Path] | None = None) -> Metric:
    """Run one job in Hydra's output folder, a single run or a job of a sweep; return what a search looks at.

    The folder joins `reported` where it is complete and wants a page. Of the processes of one training only the main
    one knows that.
    """
    hydra = HydraConfig.get()
    folder, is_sweep = Path(hydra.runtime.output_dir), hydra.mode == RunMode.MULTIRUN
    require_set(OmegaConf.to_container(config))  # type: ignore[arg-type]
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    options = {key: settings.pop(key, None) for key in RUN_KEYS}
    for key in ("resume", "report"):
        if not isinstance(options[key], bool | None):
            raise InputError(f"{key}={options[key]}: give true or false")
    resume = bool(options["resume"]) or was_requeued()
    searches = is_sweep and is_searching(HydraConfig.instance().cfg)

    def done(summary: Mapping[str, Any]) -> Metric:
        if options["report"] and reported is not None:
            reported.append(folder)
        try:
            return optimized_metric(summary, options["optimized_metric"], needed=searches)
        except InputError as error:
            # What the job found stays; the search is told that it has no figure of it.
            _log.error("%s", error)
            return None

    division = {key: options[key] for key in DIVISION_KEYS if options[key] is not None}
    job_fingerprint = fingerprint(result_settings({**settings, **division}))
    if resume and is_finished(folder, job_fingerprint):
        if is_sweep:
            adopt(folder)
        _log.info("%s is done already", folder)
        return done(read_record(folder / SUMMARY_FILE) or {})
    if is_sweep:
        # It stays if the job is killed, so that nothing that lies there from before passes for its result.
        _record_failure(folder, "did not finish", of_input=False)
    task = load_task()

    def begin(checked: Settings) -> list[Any] | None:
        return records.start(_info(config, checked, task.name, resumes=resume), trains=task.trains)

    def report(outcome: Outcome) -> dict[str, Any]:
        if not is_sweep:
            outcome.show()
        return records.finish(outcome)

    with recording(built_loggers(options["logger"]), _fault) as records:
        outcome = task.execute(
            settings,
            folder,
            resume=resume,
            begin=begin,
            division=division,
            extra={
                "job": hydra.job.override_dirname,
                "fingerprint": job_fingerprint,
                **({"sweep": job_tag()} if is_sweep else {}),
            },
            report=report,
        )
    found = done(outcome.summary) if outcome.is_main else None
    # A job of a sweep counts, also in a search; the end of the sweep names it.
    if LEFT_UNDONE in outcome.summary and not is_sweep:
        raise UnfinishedError(outcome.summary[LEFT_UNDONE])
    return found


def _info(config: DictConfig, settings: Settings, command: str, *, resumes: bool) -> RunInfo:
    hydra = HydraConfig.get()
    used = used_settings(config, settings)
    return RunInfo(
        command=command,
        name=hydra.job.override_dirname or hydra.job.name,
        config=used,
        options={group: str(option) for group, option in hydra.runtime.choices.items() if group in used},
        folder=Path(hydra.runtime.output_dir),
        sweep_folder=Path(hydra.sweep.dir) if hydra.mode == RunMode.MULTIRUN else None,
        resumes=resumes,
    )


def _fault(error: BaseException) -> tuple[str, int]:
    """Word why a run failed, and say what the command exits with."""
    if isinstance(error, USER_FAULTS):
        return one_line(error), EXIT_INPUT
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", EXIT_INTERRUPTED
    return f"{type(error).__name__}: {error}", EXIT_FAILED


def _run_sweep_job(config: DictConfig, load_task: Callable[[], AnyTask]) -> Metric:
    """Run one job of a sweep; what fails is recorded in its folder, and the other jobs go on."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        return _run_job(config, load_task)
    except USER_FAULTS as error:
        _log.error("%s", one_line(error))
        _record_failure(folder, one_line(error), of_input=True)
    except (Exception, SystemExit) as error:
        _log.exception("the job failed")
        _record_failure(folder, f"{type(error).__name__}: {error}", of_input=False)
    return None


def _record_failure(folder: Path, fault: str, *, of_input: bool) -> None:
    (folder / SUMMARY_FILE).unlink(missing_ok=True)
    write_json({"error": fault, "input": of_input, "sweep": job_tag()}, folder / ERROR_FILE)


def _refuse_null_options(arguments: Iterable[str]) -> None:
    """Stop at `group=null`, of which Hydra makes a traceback."""
    for argument in arguments:
        group, given, option = argument.partition("=")
        options = group_options(group) if given and option == "null" and group.isidentifier() else []
        if options:
            raise InputError(f"{argument}: a group takes one of its options; {nearest('none', options)}")


def one_line(error: Exception) -> str:
    """Word an error of ours, of Hydra or of OmegaConf as one line with the nearest right name."""
    if isinstance(error, InputError):
        return str(error)
    cause = error.__cause__
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        if extra := _EXTRAS.get(str(error.missing_cfg_file)):
            return f"{group}={option} needs a plugin of Hydra: pip install 'valueflow[{extra}]'"
        # Of an option in a list, as logger=[csv,wandb], Hydra does not say what else there is.
        options = error.options or (group_options(group) if group else [])
        if options:
            return str(InputError(f"{group} '{option}' is unknown; {nearest(option, options)}"))
    text = str(error)
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        key = str(cause.full_key or cause.key)
        known = [str(name) for name in cause.parent_node] if isinstance(cause.parent_node, DictConfig) else []
        return str(InputError(unknown_setting(key, [name for name in known if name != "hydra"])))
    if "Ambiguous value" in text or "requires --multirun" in text:
        first = text.splitlines()[0]
        hint = (
            "several loggers are a list: logger=[csv,wandb]"
            if "'logger=" in first
            else "several values are a sweep: add -m"
        )
        return str(InputError(f"{first}; {hint}"))
    if isinstance(error, OverrideParseException):
        return str(InputError(f"cannot read '{error.override}' as an override: {how_to_quote(str(error.override))}"))
    lines = [line.strip() for line in f"{text}\n{cause or ''}".splitlines() if line.strip()]
    return str(InputError("; ".join(lines[:3])))


def _not_composed(error: Exception, arguments: Iterable[str]) -> InputError:
    """Word an error of the libraries that compose settings, which name neither the setting nor what is wrong."""
    found = re.search(r"invalid literal for int\(\) with base 10: '(.*)'", str(error))
    for argument in arguments:
        path = argument.lstrip("+~").partition("=")[0].split(".")
        if found and found[1] in path[1:]:
            whole = ".".join(path[: path.index(found[1], 1)])
            return InputError(
                f"{argument}: {whole} is a list and '{found[1]}' none of its places; give the whole list: {whole}=[...]"
            )
    lines = str(error).splitlines()
    return InputError(f"the settings cannot be composed: {lines[0] if lines else type(error).__name__}")


def _stop(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)
