"""Training with a tiny encoder: it learns, and is the same after an interruption, in chunks, in several processes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.command import environment
from tests.hives.tiny import save_tiny_encoder, training_rows
from valueflow.hives import TrainSettings
from valueflow.hives.data import VALIDATION, TrainingTable, checked_frame, parts_of, training_table
from valueflow.hives.metrics import measure_embeddings
from valueflow.hives.training import (
    HivesModule,
    LossCurve,
    TrainingSteps,
    build_batches,
    build_objective,
    fit,
    load_backbone,
)
from valueflow.run import InputError, compose_settings

ROOT = Path(__file__).parents[2]


def settings_of(tiny: Path, **more: Any) -> TrainSettings:
    given = {
        "backbone": "any",
        "backbone.model": str(tiny),
        "trainer": "cpu",
        "data.train": "unread",
        "progress": False,
    }
    batch = {"stage.batch_size": 24, "stage.anchors_per_batch": 4, "stage.positives_per_anchor": 2, "chunk_size": 6}
    course = {"optimizer.learning_rate": 3e-3, "max_steps": 30, "epochs": 5, "validate_every": 10}
    return TrainSettings.checked(compose_settings("train", {**given, **batch, **course, **more}))


@pytest.fixture(scope="module")
def table() -> TrainingTable:
    return training_table([checked_frame(training_rows(), "table")])


def split_texts(table: TrainingTable) -> tuple[TrainingTable, TrainingTable]:
    held = parts_of(table.texts, 0.3, 1) == VALIDATION
    return table.take(~held), table.take(held)


@pytest.mark.slow
def test_it_learns_and_keeps_the_best_weights(tiny: Path, table: TrainingTable, tmp_path: Path) -> None:
    training, held = split_texts(table)
    settings = settings_of(tiny)
    encoder = load_backbone(settings.backbone)
    before = measure_embeddings(encoder, held, settings).metrics["overall"]
    result = fit(encoder, training, held, settings, folder=tmp_path)
    after = measure_embeddings(encoder, held, settings).metrics["overall"]
    assert after["ranking_accuracy"] > before["ranking_accuracy"] + 0.1
    assert after["similarity_correlation"] > before["similarity_correlation"] + 0.2
    curve = pd.read_csv(tmp_path / "curve.csv")
    watched = curve.dropna(subset="held_out/ranking_accuracy")
    assert watched["step"].tolist() == [10, 20, 30]
    best = watched.loc[watched["held_out/ranking_accuracy"].idxmax()]
    assert result.best_step == best["step"]
    assert after["ranking_accuracy"] == pytest.approx(best["held_out/ranking_accuracy"], abs=1e-4)
    assert result.steps == 30
    assert curve["train/loss"].iloc[-1] < curve["train/loss"].iloc[0]


def test_a_validation_that_cannot_be_ranked_counts_as_none(
    tiny: Path, table: TrainingTable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_of(tiny, max_steps=2, validate_every=1, patience=1)
    held = table.take(np.array([0, 0]))  # one text, twice
    result = fit(load_backbone(settings.backbone), table, held, settings, folder=tmp_path)
    assert (result.steps, result.best_step, result.stopped_early) == (2, 2, False)
    assert "the last weights count" in caplog.text


@pytest.mark.slow
def test_after_an_interruption_it_ends_the_same(
    tiny: Path, table: TrainingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, held = split_texts(table)
    settings = settings_of(tiny)
    whole = load_backbone(settings.backbone)
    undisturbed = fit(whole, training, held, settings, folder=tmp_path / "whole")

    original = LossCurve.on_train_batch_end

    def breaks(self: LossCurve, trainer: Any, *args: Any, **kwargs: Any) -> None:
        original(self, trainer, *args, **kwargs)
        if trainer.global_step == 17:
            raise ConnectionAbortedError

    monkeypatch.setattr(LossCurve, "on_train_batch_end", breaks)
    with pytest.raises(ConnectionAbortedError):
        fit(load_backbone(settings.backbone), training, held, settings, folder=tmp_path / "broken")
    monkeypatch.undo()
    others = settings_of(tiny, **{"optimizer.learning_rate": 1e-3})
    with pytest.raises(InputError, match=r"last\.ckpt is of a training with other settings or other data"):
        fit(load_backbone(settings.backbone), training, held, others, folder=tmp_path / "broken", resume=True)
    encoder = load_backbone(settings.backbone)
    resumed = fit(encoder, training, held, settings, folder=tmp_path / "broken", resume=True)
    assert resumed.resumed_from == 10
    pd.testing.assert_frame_equal(resumed.curve, undisturbed.curve)
    assert resumed.best_step == undisturbed.best_step
    for name, weights in whole.state_dict().items():
        torch.testing.assert_close(encoder.state_dict()[name], weights, msg=name)


def test_it_goes_on_from_the_last_measurement_and_with_the_same_validation_texts_alone(
    tiny: Path, table: TrainingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, held = split_texts(table)
    # Nothing changes, so the second measurement is no new best.
    settings = settings_of(tiny, max_steps=6, validate_every=2, **{"optimizer.learning_rate": 1e-12})

    def breaks(self: LossCurve, trainer: Any, *args: Any, **kwargs: Any) -> None:
        if trainer.global_step == 5:
            raise ConnectionAbortedError

    monkeypatch.setattr(LossCurve, "on_train_batch_end", breaks)
    with pytest.raises(ConnectionAbortedError):
        fit(load_backbone(settings.backbone), training, held, settings, folder=tmp_path)
    monkeypatch.undo()
    # What the checkpoint calls its best is so on the texts that it was measured on.
    for other in (held.take(np.arange(1, len(held))), None):
        with pytest.raises(InputError, match=r"last\.ckpt is of a training with other settings or other data"):
            fit(load_backbone(settings.backbone), training, other, settings, folder=tmp_path, resume=True)
    resumed = fit(load_backbone(settings.backbone), training, held, settings, folder=tmp_path, resume=True)
    assert (resumed.resumed_from, resumed.best_step, resumed.steps) == (4, 2, 6)
    # One step of warm-up, from 0; then half a cosine over the other five.
    rates = resumed.curve.set_index("step")["learning_rate"] / 1e-12
    assert rates.to_dict() == pytest.approx({step: (1 + np.cos(np.pi * (step - 2) / 5)) / 2 for step in (2, 4, 6)})


def test_the_last_step_is_measured_whatever_the_interval(tiny: Path, table: TrainingTable, tmp_path: Path) -> None:
    training, held = split_texts(table)
    settings = settings_of(tiny, max_steps=5, validate_every=2)
    result = fit(load_backbone(settings.backbone), training, held, settings, folder=tmp_path)
    watched = result.curve.set_index("step")["held_out/ranking_accuracy"].dropna()
    assert watched.index.tolist() == [2, 4, 5]
    assert (result.best_step, result.steps, result.stopped_early) == (watched.idxmax(), 5, False)


def test_the_best_of_measurements_at_every_step_is_kept(tiny: Path, table: TrainingTable, tmp_path: Path) -> None:
    training, held = split_texts(table)
    # So large a step spoils what the first ones have learned.
    course = {"optimizer.learning_rate": 0.1, "optimizer.schedule": "constant_with_warmup"}
    settings = settings_of(tiny, max_steps=4, validate_every=1, **course)
    encoder = load_backbone(settings.backbone)
    result = fit(encoder, training, held, settings, folder=tmp_path)
    watched = result.curve.set_index("step")["held_out/ranking_accuracy"]
    assert watched.index.tolist() == [1, 2, 3, 4]
    assert watched.idxmax() < 4  # else the last would do as well
    assert result.best_step == watched.idxmax()
    after = measure_embeddings(encoder, held, settings).metrics["overall"]
    assert after["ranking_accuracy"] == pytest.approx(watched.max(), abs=1e-4)


def test_ids_that_cannot_be_drawn_are_not_told_as_texts(
    tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = training_rows()
    rows.loc[0, ["selected_individual", "level_3"]] = "alone"
    settings = settings_of(tiny, stage="inter", max_steps=1, **{"stage.members_per_id": 2})
    fit(
        load_backbone(settings.backbone),
        training_table([checked_frame(rows, "rows")]),
        None,
        settings,
        folder=tmp_path,
    )
    assert {"individual ids with a single text: 1", "alone with its path and direction: 1 of 108"} <= set(
        caplog.messages
    )


def test_weights_that_have_no_part_in_the_loss_stay_as_they_are(
    tiny: Path, table: TrainingTable, tmp_path: Path
) -> None:
    settings = settings_of(tiny, max_steps=2, validate_every=2, **{"optimizer.weight_decay": 1.0})
    start, trained = (load_backbone(settings.backbone) for _ in range(2))
    fit(trained, *split_texts(table), settings, folder=tmp_path)
    weights = trained.state_dict()
    unchanged = {name for name, before in start.state_dict().items() if torch.equal(weights[name], before)}
    assert unchanged == {f"0.model.pooler.dense.{part}" for part in ("weight", "bias")}


@pytest.mark.slow
def test_a_share_of_the_start_stays(tiny: Path, table: TrainingTable, tmp_path: Path) -> None:
    training, held = split_texts(table)
    start, trained, kept = (load_backbone(settings_of(tiny).backbone) for _ in range(3))
    fit(trained, training, held, settings_of(tiny), folder=tmp_path / "trained")
    fit(kept, training, held, settings_of(tiny, start_share=0.3), folder=tmp_path / "kept")
    moved = 0.0
    for name, weights in kept.state_dict().items():
        first, last = start.state_dict()[name], trained.state_dict()[name]
        expected = 0.3 * first + 0.7 * last if weights.is_floating_point() else last
        torch.testing.assert_close(weights, expected, msg=name)
        moved = max(moved, float((last - first).abs().max()))
    assert moved > 1e-3


@pytest.mark.slow
def test_early_stopping_and_dropout(
    tiny: Path, table: TrainingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, held = split_texts(table)
    modes = []
    original = HivesModule._embed_chunk

    def noted(self: HivesModule, features: Any) -> torch.Tensor:
        modes.append((torch.is_grad_enabled(), self.encoder[0].training))
        return original(self, features)

    monkeypatch.setattr(HivesModule, "_embed_chunk", noted)
    settings = settings_of(tiny, patience=1, validate_every=5, **{"optimizer.learning_rate": 1e-12})
    result = fit(load_backbone(settings.backbone), training, held, settings, folder=tmp_path)
    # Nothing changes, so the second measurement is no new best.
    assert result.stopped_early
    assert result.steps == 10
    # Dropout while training, none while measuring.
    assert set(modes) == {(True, True), (False, False)}


def gradients(module: HivesModule, settings: TrainSettings, table: TrainingTable) -> dict[str, torch.Tensor]:
    data = TrainingSteps(table, build_batches(settings, table), module.encoder.preprocess, chunk_size=6)
    module.zero_grad()
    module.train()
    torch.manual_seed(1)
    module.objective(module.embed(data[0].chunks), data[0].labels)["loss"].backward()
    return {name: part.grad.clone() for name, part in module.named_parameters() if part.grad is not None}


def test_gradient_caching_changes_no_gradient(tiny: Path, table: TrainingTable) -> None:
    settings = settings_of(tiny)
    encoder = load_backbone(settings.backbone)
    plain, cached = (
        HivesModule(encoder, build_objective(settings), settings.optimizer, steps=1, gradient_caching=caching)
        for caching in (False, True)
    )
    expected = gradients(plain, settings, table)
    assert len(expected) > 20
    for name, gradient in gradients(cached, settings, table).items():
        torch.testing.assert_close(gradient, expected[name], msg=name)


def test_gradient_caching_keeps_no_activations_and_embeds_again_chunk_by_chunk(
    tiny: Path, table: TrainingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tiny)
    encoder = load_backbone(settings.backbone)
    batches = build_batches(settings, table)
    chunks = TrainingSteps(table, batches, encoder.preprocess, chunk_size=6)[0].chunks
    steps: list[tuple[str, int]] = []
    original = HivesModule._embed_chunk

    def noted(self: HivesModule, features: Any) -> torch.Tensor:
        number = next(n for n, own in enumerate(chunks.features) if own["input_ids"] is features["input_ids"])
        steps.append(("embed", number))
        vectors = original(self, features)
        if vectors.requires_grad:
            vectors.register_hook(lambda gradient: steps.append(("gradient", number)))
        return vectors

    monkeypatch.setattr(HivesModule, "_embed_chunk", noted)
    kept, order = {}, {}
    for caching in (False, True):
        module = HivesModule(
            encoder, build_objective(settings), settings.optimizer, steps=1, gradient_caching=caching
        ).train()
        steps.clear()
        numbers: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, numbers=numbers: numbers.append(tensor.numel()) or tensor,  # type: ignore[misc,func-returns-value]
            lambda tensor: tensor,
        ):
            module.embed(chunks).square().sum().backward()
        kept[caching], order[caching] = sum(numbers), [number for kind, number in steps if kind == "embed"]
    first = list(range(len(chunks.features)))
    assert len(first) == 4
    assert order[False] == first
    assert order[True][: len(first)] == first
    assert sorted(order[True][len(first) :]) == first
    assert kept[True] < kept[False] / 20


def test_embeddings_are_the_encoders_own_in_any_chunks(tiny: Path, table: TrainingTable) -> None:
    settings = settings_of(tiny)
    encoder = load_backbone(settings.backbone)
    module = HivesModule(encoder, build_objective(settings), settings.optimizer, steps=1).eval()
    batches = build_batches(settings, table)
    expected = encoder.encode(table.texts[batches.batch(0, 0).rows].tolist(), normalize_embeddings=True)
    for size in (1, 7, 100):
        data = TrainingSteps(table, batches, encoder.preprocess, chunk_size=size)
        with torch.no_grad():
            np.testing.assert_allclose(module.embed(data[0].chunks).numpy(), expected, atol=2e-6)


@pytest.mark.slow
def test_two_processes_have_loss_and_gradients_of_one(table_file: Path, tmp_path: Path) -> None:
    tiny = save_tiny_encoder(tmp_path, dropout=0.0)
    found = []
    for devices in ("1", "2"):
        out = tmp_path / f"{devices}.npz"
        done = subprocess.run(
            [sys.executable, "-m", "tests.hives.one_step", str(tiny), str(table_file), devices, str(out)],
            cwd=ROOT,
            env=environment(tmp_path / "cache", OMP_NUM_THREADS="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout
        found.append(np.load(out, allow_pickle=False))
    one, two = found
    assert [int(each["world_size"]) for each in found] == [1, 2]
    assert one["batch"] % 2 == 1  # one process has a text less
    for each in found:
        gradients = [each[name] for name in each.files if name not in ("loss", "batch", "world_size", "gradient_norm")]
        assert each["gradient_norm"] == pytest.approx(
            np.sqrt(sum(np.square(part).sum() for part in gradients)), rel=1e-4
        )
    # Parameters that have no part in the loss have no gradient, not even zeros, by which weight decay would reach them.
    assert set(two.files) == set(one.files)
    assert len(one.files) > 20
    assert not any("pooler" in name for name in one.files)
    for name in one.files:
        np.testing.assert_allclose(two[name], one[name] if name != "world_size" else 2, atol=1e-5, err_msg=name)


def test_an_encoder_that_does_not_fit_the_gpu_is_measured_on_the_cpu(
    tiny: Path, table: TrainingTable, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (1_000, 2_000))
    settings = settings_of(tiny, replicates=0, **{"trainer.accelerator": "auto"})
    measured = measure_embeddings(load_backbone(settings.backbone), table.take(np.arange(20)), settings)
    assert measured.vectors.shape == (20, 32)
    assert "do not fit the GPU's free memory" in caplog.text


def test_a_machine_without_a_gpu_is_told_in_one_line(tiny: Path, table: TrainingTable, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    settings = settings_of(tiny, trainer="gpu", **{"trainer.workers": 0})
    with pytest.raises(InputError, match="on a machine without a GPU give trainer=cpu"):
        fit(load_backbone(settings.backbone), table, None, settings, folder=tmp_path)
