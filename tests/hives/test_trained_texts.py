"""Texts that an encoder was trained on are recognized in its folder, and are not measured as if they were new."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.hives.tiny import training_rows
from valueflow import train
from valueflow.hives import MeasuredEncoder, TrainedEncoder
from valueflow.hives.data import TRAINED_TEXTS_FILE, keys_in, load_splits, trained_keys, write_keys
from valueflow.hives.settings import DataSettings
from valueflow.run import InputError, compose_settings


def settings_of(tiny: Path, table_file: Path, **more: Any) -> dict[str, Any]:
    model = {"backbone": "any", "backbone.model": str(tiny), "trainer": "cpu", "progress": False, "replicates": 0}
    batch = {"stage.batch_size": 24, "stage.anchors_per_batch": 4, "stage.positives_per_anchor": 2}
    data = {"data.train": str(table_file), "data.held_out": 0.25, "max_steps": 1}
    return {**model, **batch, **data, **more}


def texts_of(table_file: Path, part: str, seed: int) -> set[str]:
    given = {"data.train": str(table_file), "data.held_out": 0.25}
    table = getattr(load_splits(DataSettings.checked(compose_settings("train", given)["data"]), seed), part)
    return set(table.texts)


def test_keys_ignore_what_is_no_word() -> None:
    keys = trained_keys(["A promise, kept.", "a PROMISE  kept", "a promise broken", "?!", ""])
    assert keys[0] == keys[1]
    assert len(np.unique(keys)) == 4


def test_keys_are_read_as_they_were_written(tmp_path: Path) -> None:
    keys = trained_keys(["b", "a", "b"])
    write_keys(keys, tmp_path)
    assert keys_in([None, "minilm", str(tmp_path)]).tolist() == sorted(set(keys.tolist()))
    (tmp_path / TRAINED_TEXTS_FILE).write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=f"{TRAINED_TEXTS_FILE} cannot be used"):
        keys_in([str(tmp_path)])


@pytest.mark.slow
def test_no_text_of_a_training_is_measured_as_new(tiny: Path, table_file: Path, tmp_path: Path) -> None:
    first = train(output_dir=tmp_path / "1", seed=1, **settings_of(tiny, table_file))
    assert isinstance(first, TrainedEncoder)
    learned = texts_of(table_file, "training", 1)
    np.testing.assert_array_equal(keys_in([str(first.model)]), np.unique(trained_keys(sorted(learned))))

    def measured(**more: Any) -> dict[str, Any]:
        found = train(**settings_of(tiny, table_file, task="test", **more))
        assert isinstance(found, MeasuredEncoder)
        data: dict[str, Any] = found.summary["data"]
        return data

    # With its own seed the test is new; with another it holds texts of the training, also where that is the baseline.
    own, other = texts_of(table_file, "test", 1), texts_of(table_file, "test", 2)
    known = len(other & learned)
    assert 0 < known < len(other)
    data = measured(seed=1, model=str(first.model))
    assert (data["texts"], "left_out" in data) == (len(own), False)
    for models in ({"model": str(first.model)}, {"model": None, "baseline": str(first.model)}):
        data = measured(seed=2, **models)
        assert data["texts"] == len(other) - known
        assert data["left_out"] == {"test texts that an encoder was trained on before": known}
    pd.DataFrame({**training_rows(), "text": training_rows()["text"].str.upper()}).iloc[[0]].to_csv(tmp_path / "t.csv")
    if training_rows()["text"][0] in learned:
        with pytest.raises(InputError, match="a measured encoder was trained on every text"):
            measured(seed=2, model=str(first.model), **{"data.test": str(tmp_path / "t.csv")})

    # Stage 2 with another seed: what stage 1 learned is not watched, and its keys are handed on.
    more = {"stage": "inter", "stage.members_per_id": 2, "model": str(first.model), "seed": 2}
    second = train(output_dir=tmp_path / "2", **settings_of(tiny, table_file, **more))
    watched = texts_of(table_file, "validation", 2)
    assert second.summary["data"]["validation"] == len(watched - learned)
    assert second.summary["data"]["left_out"]["validation texts that an encoder was trained on before"] == len(
        watched & learned
    )
    both = learned | texts_of(table_file, "training", 2)
    np.testing.assert_array_equal(keys_in([str(tmp_path / "2" / "model")]), np.unique(trained_keys(sorted(both))))
