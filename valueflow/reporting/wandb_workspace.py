"""`logger.workspace=true`: a dashboard for the project, laid out after the sweep that was run last."""

from typing import TYPE_CHECKING, Any

from valueflow.reporting.runs import MAIN_FIGURES, flat_figures, swept_settings
from valueflow.run import SweepInfo, group_options

if TYPE_CHECKING:
    import wandb_workspaces.workspaces as ws

_FAILURES = ("share_failed", "windows_failed", "failed", "refused", "truncated", "misfit", "not_converged")


def laid_out(sweep: SweepInfo, *, entity: str, project: str) -> "ws.Workspace":
    """Return the workspace of a project: panels over the runs of all its sweeps.

    Dose-response over runs, parallel coordinates over what the sweep was given, the judge's reliability, failures. A
    panel is left out where the sweep's runs do not have what it shows, so that none is empty.

    Parameters
    ----------
    sweep
        As it ended; one finished job at least.
    entity, project
        Whose the workspace is.
    """
    import wandb_workspaces.workspaces as ws

    figures = {name for job in sweep.finished.values() for name in flat_figures(job.summary)}
    given = [_config_name(key) for key in swept_settings(sweep)]
    named = {
        "Dose-response": _dose_response(given, figures),
        "Settings and results": _coordinates(given, figures),
        "Reliability of the judge": _bars(("reliability.kendall_tau",), figures),
        "Failures": _bars(_FAILURES, figures),
    }
    sections = [ws.Section(name=name, panels=panels, is_open=True) for name, panels in named.items() if panels]
    return ws.Workspace(entity=entity, project=project, name=f"ValueFlow: {sweep.command}", sections=sections)


def _config_name(key: str) -> str:
    """Return where the config of a run has a key: settings of an option are apart from its name."""
    group = key.partition(".")[0]
    return f"options.{key}" if group != key and group_options(group) else key


def _dose_response(given: list[str], figures: set[str]) -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    if "intensity" not in given or "mean" not in figures:
        return []
    over_runs = wr.ScatterPlot(
        title="Mean score by steering intensity", x=wr.Config("intensity"), y=wr.SummaryMetric("mean"), regression=True
    )
    others = [key for key in ("value", "model") if key in given]
    by_key = [wr.BarPlot(title=f"Mean score by {key}", metrics=["mean"], groupby=wr.Config(key)) for key in others]
    return [over_runs, *by_key]


def _coordinates(given: list[str], figures: set[str]) -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    measured = [name for name in MAIN_FIGURES if name in figures]
    if not given or not measured:
        return []
    axes = [*map(wr.Config, given), *map(wr.SummaryMetric, measured)]
    return [wr.ParallelCoordinatesPlot(columns=[wr.ParallelCoordinatesPlotColumn(metric=axis) for axis in axes])]


def _bars(names: tuple[str, ...], figures: set[str]) -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    return [wr.BarPlot(title=name, metrics=[name]) for name in names if name in figures]
