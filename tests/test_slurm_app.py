"""Sweeps and trainings by jobs of a real Slurm, which the test starts."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from tests.command import ROOT, Finished, environment, succeeded, summary_in
from tests.command import run as run_app
from tests.hives.tiny import save_tiny_encoder
from tests.llm.fault_server import FaultServer, delayed, permutation
from tests.slurm import requeue_once, running_slurm, why_not
from tests.test_launchers_app import KILLING, PLUGINS, is_installed, table
from tests.test_sweeps_app import rankings as rankings  # a fixture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_installed(PLUGINS["submitit_local"]), reason="hydra-submitit-launcher is not installed"),
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with running_slurm(tmp_path_factory.mktemp("slurm") / "slurm") as env:
        yield env


def launched(*more: str) -> tuple[str, ...]:
    return ("hydra/launcher=submitit_slurm", "hydra.launcher.mem_gb=1", "hydra.launcher.cpus_per_task=1", *more)


def sweep(slurm: dict[str, str], rankings: Path, folder: str, *arguments: str, slurmed: bool = True) -> Finished:
    work = rankings.parent
    return run_app(
        ROOT / "evaluate.py",
        *arguments,
        *(f"rankings={rankings}", "progress=false", f"hydra.sweep.dir={folder}", "-m"),
        *(launched() if slurmed else ()),
        folder=work,
        env=environment(work / "cache", **slurm, PYTHONPATH=f"{ROOT}:{work}"),
        fresh=True,
        timeout=600,
    )


def test_jobs_of_slurm_leave_what_a_plain_sweep_leaves(slurm: dict[str, str], rankings: Path) -> None:
    values = "value=power,face,humility,tradition"
    succeeded(sweep(slurm, rankings, "plain", values, slurmed=False))
    done = succeeded(sweep(slurm, rankings, "at_once", values))
    assert "4 of 4 jobs" in done.stdout
    pd.testing.assert_frame_equal(table(rankings, "plain"), table(rankings, "at_once"))
    for job in range(4):
        files = [rankings.parent / name / str(job) / "scores.csv" for name in ("plain", "at_once")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_bad_job_is_named(slurm: dict[str, str], rankings: Path) -> None:
    bad = sweep(slurm, rankings, "bad", "value=power,powr")
    assert bad.returncode == 2, bad.stdout + bad.stderr
    assert "1 of 2 jobs" in bad.stdout
    assert "failed: job 1 (value=powr" in bad.stdout
    assert "Traceback" not in bad.stderr


def test_a_killed_job_is_named_and_resumed(slurm: dict[str, str], rankings: Path) -> None:
    work = rankings.parent
    (work / "killing.py").write_text(KILLING)
    (work / "armed").touch()
    arguments = ("value=power,face,humility", "+logger._target_=killing.Logger", "+logger.at=face")
    done = sweep(slurm, rankings, "killed", *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "failed: job 1 (value=face" in done.stdout
    assert "did not finish" in done.stdout
    assert "Traceback" not in done.stderr
    assert table(rankings, "killed")["value"].tolist() == ["power", "humility"]
    started = [summary_in(work / "killed" / job)["started"] for job in ("0", "2")]
    (work / "armed").unlink()
    again = succeeded(sweep(slurm, rankings, "killed", *arguments, "resume=true"))
    assert "3 of 3 jobs" in again.stdout
    assert [summary_in(work / "killed" / job)["started"] for job in ("0", "2")] == started


def test_a_requeued_evaluation_goes_on_from_the_cache(slurm: dict[str, str], tmp_path: Path) -> None:
    concurrency = 2
    with FaultServer(delayed(permutation, 0.2)) as server:
        arguments = ("value=benevolence", "intensity=2", "judge=llm", "llm=openai", "llm.model=fault", "progress=false")
        arguments += (f"llm.base_url={server.url}", f"llm.concurrency={concurrency}", "judge_check=false", "m=20")
        with requeue_once(slurm, when=lambda: len(server.calls) >= 40):
            done = run_app(
                ROOT / "evaluate.py",
                *(*arguments, "-m", "hydra.sweep.dir=sweep", *launched()),
                folder=tmp_path,
                env=environment(tmp_path / "cache", PYTHONPATH=str(ROOT), **slurm),
                fresh=True,
                timeout=600,
            )
        succeeded(done)
        calls = len(server.calls)
    summary = summary_in(tmp_path / "sweep" / "0")
    judging = summary["judging"]
    assert judging["cache_hits"] > 0
    assert judging["calls"] + judging["cache_hits"] == summary["windows"] == 160
    # What was under way when the job was stopped is asked again, and nothing else.
    assert 160 <= calls <= 160 + concurrency


def test_a_requeued_training_goes_on_from_its_checkpoint(
    slurm: dict[str, str], table_file: Path, tiny: Path, tmp_path: Path
) -> None:
    arguments = ("trainer=cpu", "backbone=any", f"backbone.model={tiny}", f"data.train={table_file}")
    arguments += ("data.held_out=0.3", "stage.batch_size=24", "stage.anchors_per_batch=4", "progress=false")
    arguments += ("stage.positives_per_anchor=2", "stage.members_per_id=2", "max_steps=60", "validate_every=5")
    env = environment(tmp_path / "cache", OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT), **slurm)

    def trained(*more: str) -> Finished:
        return succeeded(
            run_app(ROOT / "train.py", *arguments, *more, folder=tmp_path, env=env, fresh=True, timeout=600)
        )

    trained("hydra.run.dir=whole")
    with requeue_once(slurm, when=(tmp_path / "sweep" / "0" / "checkpoints" / "last.ckpt").exists):
        trained("-m", "hydra.sweep.dir=sweep", *launched())
    resumed, whole = summary_in(tmp_path / "sweep" / "0"), summary_in(tmp_path / "whole")
    assert resumed["resumed_from"] > 0
    for key in ("steps", "best_step", "after"):
        assert resumed[key] == whole[key], key
    curves = [pd.read_csv(tmp_path / name / "curve.csv") for name in ("sweep/0", "whole")]
    pd.testing.assert_frame_equal(*curves)


def test_two_tasks_of_slurm_train_as_one_process(slurm: dict[str, str], table_file: Path, tmp_path: Path) -> None:
    tiny = save_tiny_encoder(tmp_path, dropout=0.0)
    one = ("trainer=cpu",)
    two = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.precision=32-true")
    two += ("trainer.workers=0", "-m", *launched("hydra.launcher.tasks_per_node=2"), "hydra.sweep.dir=two")
    for own in ((*one, "hydra.run.dir=one"), two):
        done = run_app(
            ROOT / "train.py",
            *("backbone=any", f"backbone.model={tiny}", f"data.train={table_file}", "data.held_out=0.3"),
            *("stage.batch_size=24", "stage.anchors_per_batch=4", "stage.positives_per_anchor=2"),
            *("stage.members_per_id=2", "progress=false", "optimizer.learning_rate=1e-4", "max_steps=4"),
            *("validate_every=2", *own),
            folder=tmp_path,
            env=environment(tmp_path / "cache", OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT), **slurm),
            fresh=True,
            timeout=600,
        )
        succeeded(done)
    assert "1 of 1 job" in done.stdout
    assert len(list((tmp_path / "two").rglob("summary.json"))) == 1
    curves = [pd.read_csv(tmp_path / name / "curve.csv") for name in ("one", "two/0")]
    assert len(curves[0]) >= 3
    pd.testing.assert_frame_equal(curves[0], curves[1], check_exact=False, rtol=0, atol=1e-5)
    weights = [load_file(next((tmp_path / name / "model").rglob("model.safetensors"))) for name in ("one", "two/0")]
    for name in weights[0]:
        # A key's bias changes no vector: its gradient is rounding alone, which Adam makes a whole step of.
        if not name.endswith("key.bias"):
            np.testing.assert_allclose(weights[0][name], weights[1][name], atol=1e-5, err_msg=name)
