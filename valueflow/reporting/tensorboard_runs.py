"""`logger=tensorboard`: event files beside the runs: HParams over a sweep, figures, histograms, training curves."""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from valueflow.reporting.runs import MAIN_FIGURES, flat_figures, flat_settings, redacted, scored, swept_settings
from valueflow.run import InputError, Outcome, RunInfo, RunLogger, RunRecord, SweepInfo

FOLDER = "tensorboard"


@dataclass(frozen=True)
class TensorBoardLogger(RunLogger):
    """Writes event files to the folder `tensorboard` of the sweep or the run; a job is a session of HParams."""

    def __post_init__(self) -> None:
        if find_spec("tensorboard") is None:
            raise InputError(
                "logger=tensorboard: the package tensorboard is not installed; pip install 'valueflow[tensorboard]'"
            )

    def start(self, run: RunInfo) -> RunRecord:
        """Return the session of a run; what an earlier run left in its place is removed."""
        folder = _folder_of(run)
        if not run.resumes:
            shutil.rmtree(folder, ignore_errors=True)
        return _Session(run, folder)

    def end_sweep(self, sweep: SweepInfo) -> Mapping[str, Any]:
        """Say which columns HParams has: what the jobs were given, and the figures that runs are compared by."""
        from tensorboard.plugins.hparams import summary_v2 as hparams

        figures = {name for job in sweep.finished.values() for name in flat_figures(job.summary)}
        folder = sweep.folder.absolute() / FOLDER
        for file in folder.glob("events.out.tfevents.*"):
            # Of an earlier sweep in the same folder.
            file.unlink()
        with _writer(folder) as writer:
            columns = [
                hparams.HParam(key, hparams.Discrete(_typed(given))) for key, given in swept_settings(sweep).items()
            ]
            metrics = [hparams.Metric(name) for name in MAIN_FIGURES if name in figures]
            writer.file_writer.add_summary(hparams.hparams_config_pb(columns, metrics))
        return {}


def _typed(entries: list[str]) -> list[str] | list[float]:
    """Return the values of a setting as numbers, where all of them are."""
    try:
        return [float(entry) for entry in entries]
    except ValueError:
        return entries


@dataclass(frozen=True)
class _Session(RunRecord):
    run: RunInfo
    folder: Path

    def curves(self) -> Any:
        """Return a Lightning logger for the curves of a training."""
        from lightning.pytorch.loggers import TensorBoardLogger as LightningLogger

        return LightningLogger(save_dir=self.folder, name="", version="")

    def finish(self, outcome: Outcome) -> Mapping[str, Any]:
        """Write settings, figures, distributions and pictures."""
        from tensorboard.plugins.hparams import api_pb2

        with self._session(api_pb2.STATUS_SUCCESS) as writer:
            for name, figure in flat_figures(outcome.summary).items():
                writer.add_scalar(name, figure)
            for name, numbers in scored(outcome):
                writer.add_histogram(name, numbers)
            for name in outcome.outputs():
                if name.endswith(".png") and (self.run.folder / name).is_file():
                    writer.add_image(Path(name).stem, _pixels(self.run.folder / name), dataformats="HWC")
        return {}

    def fail(self, fault: str, exit_code: int) -> None:
        """Write the settings, and that the run failed."""
        from tensorboard.plugins.hparams import api_pb2

        with self._session(api_pb2.STATUS_FAILURE) as writer:
            writer.add_text("error", redacted(fault))

    @contextmanager
    def _session(self, status: int) -> Iterator[Any]:
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        with _writer(self.folder) as writer:
            writer.file_writer.add_summary(hparams_pb(flat_settings(self.run), trial_id=redacted(self.run.name)))
            yield writer
            writer.file_writer.add_summary(_end(status))


@contextmanager
def _writer(folder: Path) -> Iterator[Any]:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        yield writer


def _end(status: int) -> Any:
    """Return the summary that ends a session; TensorBoard's own function for it needs TensorFlow."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    described = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=end))
    value = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=described, tensor=metadata.NULL_TENSOR)
    return Summary(value=[value])


def _folder_of(run: RunInfo) -> Path:
    """Return where a run's events go: in the sweep's folder under the job's name, so that TensorBoard names it so."""
    own, sweep = run.folder.absolute(), run.sweep_folder.absolute() if run.sweep_folder else None
    if sweep is None or not own.is_relative_to(sweep):
        return own / FOLDER
    return sweep / FOLDER / own.relative_to(sweep)


def _pixels(file: Path) -> Any:
    from matplotlib.image import imread

    return imread(file)[..., :3]
