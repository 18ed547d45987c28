"""Event files, read back by TensorBoard itself."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.command import ROOT, Finished, environment, succeeded, summary_in
from tests.command import run as run_app
from tests.reporting.test_wandb_logger import write_rankings
from valueflow.reporting import TensorBoardLogger
from valueflow.run import FinishedJob, InputError, Outcome, RunInfo, SweepInfo

VALUES = [f"value_{number}" for number in range(6)]
INTENSITIES = [-2, -1, 0, 1, 2]
MODELS = ["phi-4", "qwen3"]


@dataclass(frozen=True, kw_only=True)
class Scored(Outcome):
    scores: pd.DataFrame = field(default_factory=pd.DataFrame)

    def outputs(self) -> Mapping[str, Any]:
        return {}

    def tables(self) -> Mapping[str, pd.DataFrame]:
        return {"scores": self.scores}

    def show(self) -> None: ...


def read(folder: Path) -> Any:
    """Return all that TensorBoard finds in a folder."""
    needed = "the extra tensorboard is not installed"
    multiplexer = pytest.importorskip("tensorboard.backend.event_processing.event_multiplexer", reason=needed)
    found = multiplexer.EventMultiplexer().AddRunsFromDirectory(str(folder))
    found.Reload()
    return found


def session(found: Any, run: str, tag: str) -> Any:
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    content = found.PluginRunToTagToContent("hparams")[run][f"_hparams_/{tag}"]
    return HParamsPluginData.FromString(content)


def test_sixty_jobs_are_sixty_sessions_with_value_intensity_model_and_mean(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    logger = TensorBoardLogger()
    finished: dict[Path, FinishedJob] = {}
    means = {}
    for number, (value, intensity, model) in enumerate(itertools.product(VALUES, INTENSITIES, MODELS)):
        folder = tmp_path / "swept" / str(number)
        folder.mkdir(parents=True)
        config = {"value": value, "intensity": intensity, "model": model, "judge": {"_target_": "x", "encoder": "e"}}
        run = RunInfo(
            command="evaluate",
            name=str(number),
            config=config,
            options={"judge": "embedding"},
            folder=folder,
            sweep_folder=tmp_path / "swept",
        )
        means[str(number)] = number / 10 - 3
        summary = {"mean": means[str(number)], "n": 7, "label": value}
        scores = pd.DataFrame({f"{value}_score": np.linspace(-5, 5, 7)})
        logger.start(run).finish(Scored(summary=summary, scores=scores))
        overrides = (f"value={value}", f"intensity={intensity}", f"model={model}", "logger=tensorboard")
        finished[folder] = FinishedJob(name=str(number), overrides=overrides, summary=summary)
    logger.end_sweep(
        SweepInfo(command="evaluate", folder=tmp_path / "swept", finished=finished, failed=[], exit_code=0)
    )
    found = read(tmp_path / "swept" / "tensorboard")
    jobs = sorted(set(found.Runs()) - {"."}, key=int)
    assert jobs == [str(number) for number in range(60)]
    seen = set()
    for job in jobs:
        hparams = session(found, job, "session_start_info").session_start_info.hparams
        seen.add((hparams["value"].string_value, hparams["intensity"].number_value, hparams["model"].string_value))
        assert hparams["judge"].string_value == "embedding"
        assert hparams["judge.encoder"].string_value == "e"
        (mean,) = found.Scalars(job, "mean")
        assert mean.value == pytest.approx(means[job])
        assert session(found, job, "session_end_info").session_end_info.status == 1  # STATUS_SUCCESS
        (histogram,) = found.Histograms(job, "score")
        assert histogram.histogram_value.num == 7
    assert seen == set(itertools.product(VALUES, map(float, INTENSITIES), MODELS))
    experiment = session(found, ".", "experiment").experiment
    assert [column.name for column in experiment.hparam_infos] == ["value", "intensity", "model"]
    assert [metric.name.tag for metric in experiment.metric_infos] == ["mean"]


def test_a_run_that_failed_is_a_failed_session_in_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    run = RunInfo(command="evaluate", name="n", config={"value": "powr"}, options={}, folder=tmp_path)
    TensorBoardLogger().start(run).finish(Scored(summary={"mean": 1.0}))
    TensorBoardLogger().start(run).fail("there is no powr", 2)
    found = read(tmp_path / "tensorboard")
    assert session(found, ".", "session_end_info").session_end_info.status == 2  # STATUS_FAILURE
    assert found.Runs()["."]["scalars"] == []


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("valueflow.reporting.tensorboard_runs.find_spec", lambda name: None)
    with pytest.raises(InputError, match="package tensorboard is not installed; pip install"):
        TensorBoardLogger()


def offline(app: str, work: Path, *arguments: str) -> Finished:
    work.mkdir(exist_ok=True)
    return run_app(ROOT / app, "logger=tensorboard", *arguments, folder=work, env=environment(work.parent / "cache"))


@pytest.mark.slow
def test_a_sweep_of_evaluations_is_found_in_its_folder(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    rankings = write_rankings(tmp_path / "rankings.csv")
    swept = (f"rankings={rankings}", "judge_check=false", "value=power,face", "hydra.sweep.dir=swept", "-m")
    succeeded(offline("evaluate.py", tmp_path / "work", *swept))
    found = read(tmp_path / "work" / "swept")
    assert set(found.Runs()) == {"tensorboard", "tensorboard/0", "tensorboard/1"}
    for job in ("0", "1"):
        (mean,) = found.Scalars(f"tensorboard/{job}", "mean")
        assert mean.value == pytest.approx(summary_in(tmp_path / "work" / "swept" / job)["mean"])


@pytest.mark.slow
def test_a_training_has_curves_with_gradient_norm_and_learning_rate(
    tiny: Path, table_file: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    backbone = (
        "backbone=any",
        f"backbone.model={tiny}",
        "trainer=cpu",
        f"data.train={table_file}",
        "data.held_out=0.3",
    )
    steps = (
        "stage.batch_size=16",
        "stage.anchors_per_batch=4",
        "stage.positives_per_anchor=2",
        "max_steps=20",
        "validate_every=10",
    )
    succeeded(offline("train.py", tmp_path / "work", *backbone, *steps, "hydra.run.dir=out"))
    found = read(tmp_path / "work" / "out" / "tensorboard")
    curve = pd.read_csv(tmp_path / "work" / "out" / "curve.csv").set_index("step")
    losses = {event.step + 1: event.value for event in found.Scalars(".", "train/loss")}
    assert losses
    for step, loss in losses.items():
        assert loss == pytest.approx(curve.loc[step, "train/loss"], rel=1e-5)
    assert all(event.value > 0 for event in found.Scalars(".", "gradient_norm"))
    assert len(found.Scalars(".", "learning_rate")) == len(losses)
    assert len(found.Scalars(".", "held_out/ranking_accuracy")) == 2
    (after,) = found.Scalars(".", "after.overall.ranking_accuracy")
    assert after.value == pytest.approx(summary_in(tmp_path / "work" / "out")["after"]["overall"]["ranking_accuracy"])
