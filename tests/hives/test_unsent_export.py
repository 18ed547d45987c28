"""An export that the hub does not take costs neither the results nor, when it is sent again, any step of training."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sentence_transformers import SentenceTransformer

from tests.command import ROOT, Finished, environment, succeeded, summary_in
from tests.command import run as run_app
from tests.hives.taught import KnownTeacher
from tests.hives.tiny import training_rows
from valueflow import train
from valueflow.hives.training import HivesModule
from valueflow.run import InputError


class Hub:
    """Takes exports, or refuses them; notes what it was sent."""

    def __init__(self) -> None:
        self.refuses = True
        self.sent: list[tuple[str, list[str]]] = []

    def push(self, model: SentenceTransformer, name: str, *, private: bool, local_model_path: str, **_: Any) -> str:
        assert private
        if self.refuses:
            raise OSError("no such place\nfor you")
        self.sent.append((name, sorted(path.name for path in Path(local_model_path).iterdir())))
        return f"hub/{name}"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    found = Hub()
    monkeypatch.setattr(
        SentenceTransformer, "push_to_hub", lambda model, *args, **more: found.push(model, *args, **more)
    )
    return found


@pytest.fixture
def no_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what lets no training make a step from then on."""

    def breaks(*_: Any, **__: Any) -> None:
        raise ConnectionAbortedError

    return lambda: monkeypatch.setattr(HivesModule, "training_step", breaks)


SMALL = {
    "backbone": "any",
    "trainer": "cpu",
    "progress": False,
    "data.held_out": 0.25,
    "max_steps": 3,
    "validate_every": 2,
}


def without_times(summary: dict[str, Any], *keys: str) -> dict[str, Any]:
    changing = ("started", "timings", "resumed_from", "left_undone", "pushed_to", *keys)
    return {key: entry for key, entry in summary.items() if key not in changing}


def test_a_run_keeps_its_results_and_sends_them_when_it_is_resumed(
    tiny: Path, table_file: Path, tmp_path: Path, hub: Hub, no_step: Callable[[], None]
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    batch = {"stage.batch_size": 24, "stage.anchors_per_batch": 4, "stage.positives_per_anchor": 2, "replicates": 0}
    given = SMALL | batch | {"backbone.model": tiny, "data.train": table_file, "push_to_hub": "me/mine"}

    def run(*more: str) -> Finished:
        arguments = (f"{key}={entry}" for key, entry in given.items())
        env = environment(tmp_path / "cache", OMP_NUM_THREADS="1")
        return run_app(ROOT / "train.py", *arguments, *more, folder=work, env=env)

    failed = run("report=true")
    assert failed.returncode == 1, failed.stderr
    last = failed.stderr.splitlines()[-1]
    assert last.startswith("error: push_to_hub=me/mine: no such place; the trained model is in ")
    assert "ranking accuracy" in failed.stdout
    (folder,) = (work / "outputs").glob("*/*")
    kept = summary_in(folder)
    assert f"error: {kept['left_undone']}" == last
    assert kept["after"]["overall"]["ranking_accuracy"] > 0
    assert {"model", "curve.csv", "report.html"} <= {path.name for path in folder.iterdir()}
    curve = (folder / "curve.csv").read_bytes()

    no_step()
    again = run("resume=true")
    assert again.returncode == 1, again.stderr
    assert without_times(summary_in(folder)) == without_times(kept)
    hub.refuses = False
    succeeded(run("resume=true"))
    assert list((work / "outputs").glob("*/*")) == [folder]
    sent = summary_in(folder)
    assert (sent["pushed_to"], sent["resumed_from"]) == ("hub/me/mine", 3)
    assert "left_undone" not in sent
    assert without_times(sent) == without_times(kept)
    assert (folder / "curve.csv").read_bytes() == curve
    assert not (folder / "checkpoints").exists()
    ((name, files),) = hub.sent
    assert name == "me/mine"
    assert "README.md" in files
    done = succeeded(run("resume=true"))
    assert "is done already" in done.stdout + done.stderr
    assert len(hub.sent) == 1


def test_a_distilled_encoder_is_sent_under_another_name_without_training_again(
    tiny: Path, tmp_path: Path, hub: Hub, no_step: Callable[[], None]
) -> None:
    training_rows()[["text"]].to_csv(tmp_path / "texts.csv", index=False)
    ratings = [-9.0, -6, -2, 0, 3, 6, 9]
    rows = [
        {"theory": "pvq", "value": "power", "text": f"rating {rating}", "final_rating": rating} for rating in ratings
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "anchors.csv", index=False)
    own = {"stage": "distill", "teacher": KnownTeacher(), "data.theory": "pvq", "stage.values_per_text": 2}
    files = {"data.texts": str(tmp_path / "texts.csv"), "stage.vidb": str(tmp_path / "anchors.csv")}

    def distill(**more: Any) -> Any:
        return train(output_dir=tmp_path / "out", **(SMALL | {"backbone.model": str(tiny)} | own | files | more))

    with pytest.raises(InputError, match="push_to_hub=me/mien: no such place"):
        distill(push_to_hub="me/mien")
    kept = summary_in(tmp_path / "out")
    agreement = (tmp_path / "out" / "agreement.csv").read_bytes()
    head = (tmp_path / "out" / "model" / "utility_head.safetensors").read_bytes()
    assert kept["correlation"]["student"]["mean"] is not None
    no_step()
    hub.refuses = False
    found = distill(push_to_hub="me/mine", resume=True)
    assert found.summary["pushed_to"] == "hub/me/mine"
    assert json.loads(json.dumps(without_times(found.summary, "settings"))) == without_times(kept, "settings")
    assert (tmp_path / "out" / "agreement.csv").read_bytes() == agreement
    assert (tmp_path / "out" / "model" / "utility_head.safetensors").read_bytes() == head
    assert not (tmp_path / "out" / "checkpoints").exists()
    ((_, sent),) = hub.sent
    assert "utility_head.safetensors" in sent
