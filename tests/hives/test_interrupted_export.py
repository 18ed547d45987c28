"""What a training has learned outlasts an interruption before it is written."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from valueflow import train
from valueflow.hives import TrainedEncoder
from valueflow.hives.training import HivesModule


def trained(tiny: Path, table_file: Path, folder: Path, **more: Any) -> TrainedEncoder:
    model = {"backbone": "any", "backbone.model": str(tiny), "trainer": "cpu", "progress": False, "replicates": 0}
    batch = {"stage.batch_size": 24, "stage.anchors_per_batch": 4, "stage.positives_per_anchor": 2}
    course = {"data.train": str(table_file), "data.held_out": 0.25, "max_steps": 5, "validate_every": 2}
    found = train(output_dir=folder, **model | batch | course | more)
    assert isinstance(found, TrainedEncoder)
    return found


@pytest.mark.parametrize(
    ("course", "steps"),
    [
        ({"optimizer.learning_rate": 3e-3}, 5),
        # Nothing changes, so the second measurement is the last.
        ({"optimizer.learning_rate": 1e-12, "patience": 1, "validate_every": 1}, 2),
    ],
)
def test_an_interruption_after_the_last_step_costs_no_step(
    course: dict[str, Any], steps: int, tiny: Path, table_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(tiny, table_file, tmp_path / "whole", **course)

    def breaks(*_: Any, **__: Any) -> None:
        raise ConnectionAbortedError

    with monkeypatch.context() as patch:
        patch.setattr("valueflow.hives.training.export.export_model", breaks)
        with pytest.raises(ConnectionAbortedError):
            trained(tiny, table_file, tmp_path / "broken", **course)
    with monkeypatch.context() as patch:
        patch.setattr(HivesModule, "training_step", breaks)
        resumed = trained(tiny, table_file, tmp_path / "broken", resume=True, **course)
    assert resumed.summary["resumed_from"] == steps
    for key in ("steps", "best_step", "stopped_early", "before", "after"):
        assert resumed.summary[key] == whole.summary[key], key
    pd.testing.assert_frame_equal(resumed.curve, whole.curve)
    assert not (tmp_path / "broken" / "checkpoints").exists()
