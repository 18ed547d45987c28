"""`logger=trackio`: a run of Trackio per job and one per sweep, kept on this machine."""

import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valueflow.reporting.runs import flat_figures, flat_settings, group_of, redacted, scored
from valueflow.run import SWEEP_FILE, InputError, Outcome, RunInfo, RunLogger, RunRecord, SweepInfo, plain

if TYPE_CHECKING:
    import trackio

_BINS = 40
_SCALE = (-10.0, 10.0)


@dataclass(frozen=True)
class TrackioLogger(RunLogger):
    """Makes one run of Trackio per job, and one for the sweep.

    Attributes
    ----------
    project
        Where the runs go. The folder is that of TRACKIO_DIR, else Trackio's own. TRACKIO_SERVER_URL and
        TRACKIO_SPACE_ID name a server instead.
    """

    project: str = "valueflow"

    def __post_init__(self) -> None:
        if find_spec("trackio") is None:
            raise InputError("logger=trackio: the package trackio is not installed; pip install 'valueflow[trackio]'")

    def start(self, run: RunInfo) -> RunRecord:
        """Begin the run; a training that is resumed goes on with its curves."""
        handle = self._begin(
            redacted(run.name),
            group=group_of(run.sweep_folder) if run.sweep_folder else None,
            config={"command": run.command, **flat_settings(run)},
            resume="allow" if run.resumes else "never",
        )
        return _Record(handle, run.folder)

    def end_sweep(self, sweep: SweepInfo) -> Mapping[str, Any]:
        """Make the run of a sweep: the joint table, what failed, the pictures."""
        import pandas as pd
        import trackio

        group = group_of(sweep.folder)
        handle = self._begin(group, group=group, config={"command": sweep.command, "sweep": True}, resume="never")
        content: dict[str, Any] = {"jobs": len(sweep.finished) + len(sweep.failed), "failed": len(sweep.failed)}
        if (sweep.folder / SWEEP_FILE).is_file():
            rows = pd.read_csv(sweep.folder / SWEEP_FILE, dtype=str, keep_default_na=False)
            content["tables/jobs"] = trackio.Table(data=_rows(rows.to_dict("records")))
        if sweep.failed:
            failed = [
                {"folder": job.name, "overrides": " ".join(job.overrides), "error": job.error} for job in sweep.failed
            ]
            content["tables/failed_jobs"] = trackio.Table(data=_rows(failed))
        _end(handle, {**content, **_pictures(sorted(sweep.folder.glob("*.png")))}, sweep.exit_code)
        return {}

    def _begin(self, name: str, **described: Any) -> "trackio.Run":
        import trackio

        try:
            with _silent():
                return trackio.init(project=self.project, name=name, embed=False, **described)
        # What Trackio finds wrong with a project's name, a server or a Space has many types and no common one.
        except Exception as error:
            reason = redacted(" ".join(str(error).split()))
            raise InputError(f"logger=trackio cannot begin a run: {reason}") from error


@dataclass(frozen=True)
class _Record(RunRecord):
    handle: "trackio.Run"
    folder: Path

    def curves(self) -> Any:
        """Return a Lightning logger for the curves of a training."""
        from valueflow.reporting.trackio_curves import TrackioCurves

        return TrackioCurves(self.handle)

    def finish(self, outcome: Outcome) -> Mapping[str, Any]:
        """Add figures, distributions and pictures."""
        import numpy as np
        import trackio

        content: dict[str, Any] = dict(flat_figures(outcome.summary))
        for name, numbers in scored(outcome):
            content[f"histogram/{name}"] = trackio.Histogram(
                np_histogram=np.histogram(numbers, bins=_BINS, range=_SCALE)
            )
        _end(self.handle, content | _pictures(self.folder / name for name in outcome.outputs()), 0)
        return {}

    def fail(self, fault: str, exit_code: int) -> None:
        """End the run with an alert that says what failed."""
        import trackio

        with _silent():
            self.handle.alert(title="failed", text=redacted(fault), level=trackio.AlertLevel.ERROR)
        _end(self.handle, {}, exit_code)


def _end(handle: "trackio.Run", content: Mapping[str, Any], exit_code: int) -> None:
    import trackio

    with _silent():
        handle.log({**content, "exit_code": exit_code})
        # Not the run's own method: Trackio would end it once more, with a line on the screen, when the process ends.
        trackio.finish()


def _pictures(files: Iterable[Path]) -> dict[str, Any]:
    import trackio

    return {f"pictures/{file.stem}": trackio.Image(file) for file in files if file.suffix == ".png" and file.is_file()}


def _rows(rows: list[Any]) -> list[Any]:
    return [plain(redacted(row)) for row in rows]


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what Trackio tells on the screen from the output of the command."""
    with redirect_stdout(io.StringIO()):
        yield
