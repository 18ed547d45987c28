"""Distillation: pairs, standards, batches and agreement against literal readings; a student of a known teacher."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from tests.hives.taught import KnownTeacher, utility_of
from tests.hives.tiny import training_rows
from valueflow import DistilledEncoder, train
from valueflow.hives.distillation import (
    DistillationObjective,
    DistillationSteps,
    DistillationTexts,
    Pairs,
    PairTargets,
    Standards,
    TextBatches,
    agreement,
    ask,
    draw_pairs,
    load_texts,
    spearman_by_group,
    values_of,
)
from valueflow.hives.training import LossCurve
from valueflow.judge import Criterion, DistilledJudge, UtilityHead
from valueflow.run import InputError, keyed_uniforms, row_keys
from valueflow.theory import load_theory
from valueflow.vidb import Vidb, load_vidb

PVQ = values_of("pvq")
NO_ANCHORS = Vidb("none", (), 0, "digest")


def ignore(done: int, failed: int, note: str = "") -> None:
    """Progress that nobody watches."""


# ---- Texts


def test_texts_and_the_values_that_their_sources_name(tmp_path: Path) -> None:
    rows = [
        ("I rule.", "pvq", "Power"),
        ("Tea, please.", "", ""),
        ("Tea, please.", " ", " "),
        ("I rule.", "pvq", "self direction"),
        ("I obey.", "mine", "obedience"),
        ("I care.", "mft", "care/harm"),
    ]
    pd.DataFrame(rows, columns=["text", "theory", "value"]).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame({"response": ["Tea, please.", "Coffee."]}).to_csv(tmp_path / "b.csv", index=False)
    values = values_of(None)
    found = load_texts([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")], values)
    assert found.texts.tolist() == ["Coffee.", "I care.", "I obey.", "I rule.", "Tea, please."]
    assert found.rows == 8
    assert found.other_values == 1
    named = [[values[column].name for column in np.flatnonzero(row)] for row in found.named]
    assert named == [[], ["mft/care-harm"], [], ["pvq/self-direction", "pvq/power"], []]
    again = load_texts([str(tmp_path / "b.csv"), str(tmp_path / "a.csv")], values)
    assert again.texts.tolist() == found.texts.tolist()
    np.testing.assert_array_equal(again.named, found.named)


def test_the_packaged_texts_are_anchors_and_responses_with_their_values() -> None:
    values = values_of(None)
    assert len(values) == 32
    found = load_texts(["demo"], values)
    anchors = load_vidb("demo").anchors
    assert {text for own in anchors for text in own.texts} < set(found.texts)
    assert found.rows == sum(map(len, anchors)) + 1000
    assert found.named.any(axis=1).all()


def test_a_table_without_texts_is_told(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    pd.DataFrame({"txt": ["one"]}).to_csv(file, index=False)
    with pytest.raises(InputError, match="has no column text or response; did you mean 'txt'?"):
        load_texts([str(file)], PVQ)
    pd.DataFrame({"text": ["one", " "]}).to_csv(file, index=False)
    with pytest.raises(InputError, match="row 2, column 'text': the text is missing"):
        load_texts([str(file)], PVQ)


# ---- Pairs


def some_texts(n: int, n_values: int = 6) -> DistillationTexts:
    named = np.zeros((n, n_values), dtype=bool)
    named[::2, 1] = True
    return DistillationTexts(np.array([f"text {number}" for number in range(n)], dtype=object), named, n)


@given(st.integers(1, 30), st.integers(1, 8), st.integers(0, 5))
def test_each_text_has_its_named_values_and_as_many_drawn_ones(n: int, per_text: int, seed: int) -> None:
    texts = some_texts(n)
    pairs = draw_pairs(texts, per_text, seed)
    kept = {(text, value) for text, value in zip(pairs.text.tolist(), pairs.value.tolist(), strict=True)}
    assert len(kept) == len(pairs)
    for text in range(n):
        own = {value for number, value in kept if number == text}
        assert own >= set(np.flatnonzero(texts.named[text]))
        assert min(per_text, 6) <= len(own) <= min(per_text + 1, 6)
    # What a text is asked about does not depend on the others.
    part = DistillationTexts(texts.texts[n // 2 :], texts.named[n // 2 :], n)
    alone = draw_pairs(part, per_text, seed)
    rest = pairs[pairs.text >= n // 2]
    np.testing.assert_array_equal(alone.text + n // 2, rest.text)
    np.testing.assert_array_equal(alone.value, rest.value)


def test_all_values_are_asked_about_where_none_is_drawn() -> None:
    assert len(draw_pairs(some_texts(7), None, 0)) == 7 * 6


def test_standards_by_hand() -> None:
    pairs = Pairs(
        text=np.array([*range(5), *range(5), *range(4)]),
        value=np.repeat([0, 1, 2], [5, 5, 4]),
        utility=np.array([0.0, 2, 2, 2, 4, *[0.1] * 5, 1, 2, 3, 4]),
    )
    standards = Standards.of(pairs, 4)
    assert standards.mean[0] == 2
    assert standards.sd[0] == pytest.approx(2**0.5)
    # One that does not vary, one with four texts, one without any.
    assert np.isnan(standards.sd[1:]).all()
    kept = standards.of_pairs(pairs)
    np.testing.assert_allclose(kept.utility, np.array([-2, 0, 0, 0, 2]) / 2**0.5)
    assert kept.text.tolist() == [0, 1, 2, 3, 4]


def test_what_a_teacher_cannot_say_is_counted() -> None:
    texts = np.array([training_rows()["text"][0], "mute thing", "mute thing 2"], dtype=object)
    pairs = Pairs(np.array([0, 0, 1, 2]), np.array([0, 3, 3, 3]), np.full(4, np.nan))
    teacher, counted = KnownTeacher(), []
    taught = ask(teacher, pairs, texts, PVQ, NO_ANCHORS, lambda done, failed, note="": counted.append((done, failed)))
    assert taught.failures == {"it is mute": 2}
    assert taught.report["calls"] == 4
    assert taught.pairs.utility.tolist() == [utility_of(texts[0], PVQ[0].value), utility_of(texts[0], PVQ[3].value)]
    assert [sum(part) for part in zip(*counted, strict=True)] == [4, 2]
    with pytest.raises(InputError, match="no text got a utility; 2 of 2 failed with: it is mute"):
        ask(teacher, pairs[pairs.text > 0], texts, PVQ, NO_ANCHORS, ignore)


# ---- Agreement


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 3)), max_size=40))
def test_correlations_by_group_are_scipys(rows: list[tuple[int, int, int]]) -> None:
    x, y, group = (np.array(column) for column in zip(*rows, strict=True)) if rows else [np.zeros(0, int)] * 3
    found = spearman_by_group(x.astype(float), y.astype(float), group, 5)
    for number in range(5):
        own = group == number
        varies = own.sum() > 1 and len(set(x[own])) > 1 and len(set(y[own])) > 1
        if varies:
            assert found[number] == pytest.approx(spearmanr(x[own], y[own]).statistic, abs=1e-12)
        else:
            assert np.isnan(found[number])


def test_intervals_tell_who_follows_the_teacher() -> None:
    rng = np.random.default_rng(1)
    text, value = np.repeat(np.arange(150), 3), np.tile(np.arange(3), 150)
    teacher = rng.normal(size=450)
    students = np.stack([rng.normal(size=450), teacher + rng.normal(size=450), teacher])
    # A fourth value has too few texts to be measured.
    text, value = np.append(text, [0, 1]), np.append(value, [3, 3])
    teacher, students = np.append(teacher, [0, 1]), np.hstack([students, [[0, 1]] * 3])
    found = agreement(students, teacher, text, value, n_values=5, seed=0)
    assert found.texts.tolist() == [150, 150, 150, 2, 0]
    assert np.isnan(found.correlation[:, 3:]).all()
    assert np.isnan(found.interval[:, :, 3:]).all()
    assert found.mean[2] == pytest.approx(1)
    (noise, noisy, same), (low, high) = found.mean, found.mean_interval
    assert low[0] < 0 < high[0]
    # In theory the correlation of ranks is 6 / pi asin(r / 2), here with r = 1 / sqrt(2).
    assert low[1] < 6 / np.pi * np.arcsin(0.5**0.5 / 2) < high[1]
    assert high[1] - low[1] < 0.2
    assert low[2] == pytest.approx(1)
    assert found.gain[1] == pytest.approx(noisy - noise)
    assert found.gain_interval[0, 1] > 0
    assert found.gain[0] == 0
    assert (found.gain_interval[:, 0] == 0).all()
    assert same > noisy
    again = agreement(students, teacher, text, value, n_values=5, seed=0)
    np.testing.assert_array_equal(again.mean_interval, found.mean_interval)


def test_students_are_compared_on_the_values_that_all_have_in_a_sample() -> None:
    # On the first value both say what the teacher says. On the second the first says the contrary, and the other one
    # tells apart a single text, which every third sample lacks: there both are equal.
    n = 20
    text, value, teacher = np.tile(np.arange(n), 2), np.repeat([0, 1], n), np.tile(np.arange(n), 2).astype(float)
    students = np.stack([teacher.copy(), teacher.copy()])
    students[0, n:] *= -1
    students[1, n:] = np.arange(n) == 3
    found = agreement(students, teacher, text, value, n_values=2, seed=0)
    own = spearmanr(students[1, n:], teacher[n:]).statistic
    assert found.gain[1] == pytest.approx((1 + own) / 2)
    low, high = found.gain_interval[:, 1]
    assert low == 0
    assert found.gain[1] < high < 0.6


def test_nothing_measured_has_no_correlation() -> None:
    none = np.zeros(0)
    found = agreement(np.zeros((2, 0)), none, none.astype(int), none.astype(int), n_values=3, seed=0)
    assert np.isnan(found.mean).all()
    assert np.isnan(found.mean_interval).all()


# ---- Batches and the loss


def words(texts: list[str]) -> dict[str, Any]:
    return {"texts": texts}


@pytest.mark.parametrize("world_size", [1, 2])
def test_an_epoch_has_every_pair_once(world_size: int) -> None:
    n, stances = 11, [(f"for {number}", f"against {number}") for number in range(6)]
    texts = some_texts(n)
    pairs = draw_pairs(texts, 2, 0)
    pairs = replace(pairs, utility=np.arange(len(pairs)) / 7)
    batches = TextBatches(n, 4, seed=5)
    assert len(batches) == 3
    processes = [
        DistillationSteps(texts.texts, stances, pairs, batches, words, chunk_size=2, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    seen = []
    for step in range(3, 6):
        parts = [process[step] for process in processes]
        shares = []
        for part in parts:
            flat = [text for chunk in part.chunks.features for text in chunk["texts"]]
            shares.append([flat[place] for place in torch.argsort(part.chunks.places)])
        whole = [text for together in zip(*shares, strict=True) for text in together]
        targets = parts[0].labels
        assert isinstance(targets, PairTargets)
        whole = whole[: len(targets)]
        assert len(set(whole)) == len(whole)
        for place, supports, opposes, utility in zip(
            targets.text, targets.supports, targets.opposes, targets.utility, strict=True
        ):
            seen.append((whole[place], (whole[supports], whole[opposes]), round(float(utility) * 7)))
    wanted = [
        (str(texts.texts[text]), stances[value], number)
        for number, (text, value) in enumerate(zip(pairs.text, pairs.value, strict=True))
    ]
    assert sorted(seen) == sorted(wanted)
    # Another epoch has another order.
    assert [batches.rows(0, k).tolist() for k in range(3)] != [batches.rows(1, k).tolist() for k in range(3)]


def test_the_loss_is_the_squared_error_of_the_head_that_is_exported() -> None:
    from valueflow.hives.distillation.fitting import head_of

    torch.manual_seed(0)
    objective = DistillationObjective(5)
    for part in objective.parameters():
        torch.nn.init.normal_(part)
    vectors = torch.nn.functional.normalize(torch.randn(7, 5), dim=1)
    text, supports, opposes = [0, 0, 3], [5, 6, 6], [1, 2, 2]
    utility = [0.5, -1.0, 2.0]
    targets = PairTargets(7, *(torch.tensor(part) for part in (text, supports, opposes, utility)))
    head = head_of(objective)
    total = 0.0
    for t, s, o, wanted in zip(text, supports, opposes, utility, strict=True):
        said = head.utilities(*(vectors[place][None].numpy() for place in (t, s, o)))[0, 0]
        total += (said - wanted) ** 2 / 3
    loss = objective(vectors, targets)["loss"].detach()
    assert float(loss) == pytest.approx(total, rel=1e-5)
    # Before it has learned, it has the encoder's own opinion: how far a text is nearer to one stance than to the other.
    untrained = DistillationObjective(5)(vectors, targets)["loss"].detach()
    opinion = [
        10 * float(vectors[t] @ (vectors[s] - vectors[o])) for t, s, o in zip(text, supports, opposes, strict=True)
    ]
    errors = [said - wanted for said, wanted in zip(opinion, utility, strict=True)]
    assert float(untrained) == pytest.approx(sum(error**2 for error in errors) / 3, rel=1e-5)


# ---- Trainings


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with texts.csv and a few anchors."""
    folder = tmp_path_factory.mktemp("material")
    training_rows()[["text"]].to_csv(folder / "texts.csv", index=False)
    ratings = [-9.0, -6, -2, 0, 3, 6, 9]
    rows = [
        {"theory": "pvq", "value": "power", "text": f"rating {rating}", "final_rating": rating} for rating in ratings
    ]
    pd.DataFrame(rows).to_csv(folder / "anchors.csv", index=False)
    return folder


def distilled(tiny: Path, material: Path, folder: Path, **more: Any) -> DistilledEncoder:
    settings: dict[str, Any] = {
        "stage": "distill",
        "backbone": "any",
        "backbone.model": str(tiny),
        "trainer": "cpu",
        "teacher": KnownTeacher(),
        "data.texts": str(material / "texts.csv"),
        "data.theory": "pvq",
        "data.held_out": 0.2,
        "stage.vidb": str(material / "anchors.csv"),
        "stage.values_per_text": None,
        "stage.batch_size": 16,
        "optimizer.learning_rate": 3e-3,
        "stage.head_learning_rate": 1e-2,
        "epochs": 20,
        "validate_every": 10,
        "chunk_size": 64,
        "progress": False,
    }
    found = train(output_dir=folder, **settings | more)
    assert isinstance(found, DistilledEncoder)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("freeze", [False, True])
def test_a_student_says_of_held_out_texts_what_its_teacher_says(
    freeze: bool, tiny: Path, material: Path, tmp_path: Path
) -> None:
    # The head alone needs more passes: the two stances on a value are near to one another.
    found = distilled(tiny, material, tmp_path, **{"stage.freeze_encoder": freeze, "epochs": 60 if freeze else 20})
    summary = found.summary
    data = summary["data"]
    assert data["training"] + data["validation"] + data["held_out"] == data["texts"] == 108
    assert data["pairs"] == 108 * 12
    assert data["pairs_left_out"] == 0
    assert data["rows_of_other_values"] == 0
    assert summary["meaning"] == []
    student = summary["correlation"]["student"]
    assert student["low"] > 0.5
    assert student["low"] < student["mean"] < student["high"]
    assert summary["correlation"]["gain"]["low"] > 0
    table = found.agreement
    assert table is not None
    assert table["value"].tolist() == list(load_theory("pvq").values)
    # As it is used: on texts that it has not learned, the exported judge follows the teacher.
    judge = DistilledJudge(str(found.model))
    learned = judge_head(found.model)
    texts = [text for text in training_rows()["text"] if not learned.has_learned([text])[0]]
    assert len(texts) == data["validation"] + data["held_out"]
    for value in ("power", "benevolence"):
        said = judge.text_utilities(Criterion(load_theory("pvq"), value, NO_ANCHORS), texts, ignore).utility
        assert spearmanr(said, [utility_of(text, value) for text in texts]).statistic > 0.6
    card = json.loads((found.model / "utility_head.json").read_text(encoding="utf-8"))
    assert card["teacher"] == {"kind": "known", "model": "words"}
    assert card["texts"]["training"] == data["training"]
    assert len(card["texts"]["digest"]) == 64
    assert sorted(path.name for path in found.model.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")) == []
    assert "Distilled value judge" in (found.model / "README.md").read_text(encoding="utf-8")
    if freeze:
        from valueflow.encoder import load_model

        start, end = (load_model(str(place), device="cpu").state_dict() for place in (tiny, found.model))
        for name, weights in start.items():
            torch.testing.assert_close(end[name], weights, msg=name)


def judge_head(model: Path) -> UtilityHead:
    from valueflow.judge.utility_head import read_head

    return read_head(str(model))


@pytest.mark.slow
def test_after_an_interruption_it_ends_the_same(
    tiny: Path, material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = {"max_steps": 30}
    whole = distilled(tiny, material, tmp_path / "whole", **short)
    original = LossCurve.on_train_batch_end

    def breaks(self: LossCurve, trainer: Any, *args: Any, **kwargs: Any) -> None:
        original(self, trainer, *args, **kwargs)
        if trainer.global_step == 17:
            raise ConnectionAbortedError

    monkeypatch.setattr(LossCurve, "on_train_batch_end", breaks)
    with pytest.raises(ConnectionAbortedError):
        distilled(tiny, material, tmp_path / "broken", **short)
    monkeypatch.undo()
    resumed = distilled(tiny, material, tmp_path / "broken", resume=True, **short)
    assert resumed.summary["resumed_from"] == 10
    pd.testing.assert_frame_equal(resumed.curve, whole.curve)
    pd.testing.assert_frame_equal(resumed.agreement, whole.agreement)
    for name in ("matrix", "slope", "offset", "learned"):
        np.testing.assert_allclose(
            getattr(judge_head(resumed.model), name), getattr(judge_head(whole.model), name), rtol=1e-6
        )


def test_a_result_without_meaning_says_so(
    tiny: Path, material: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    short = {"max_steps": 1, "stage.values_per_text": 2}
    found = distilled(tiny, material, tmp_path / "a", **short, **{"data.held_out": 0.0})
    assert found.agreement is None
    assert (found.summary["loss"], found.summary["correlation"]) == ("squared error", None)
    assert found.summary["meaning"] == [
        "too little is held out: how far the student says what its teacher says is not known"
    ]
    assert "how far the student says what its teacher says is not known" in caplog.text
    data = found.summary["data"]
    assert data["pairs_left_out"] == data["pairs"] - data["pairs_trained"]
    # Nothing can be learned of held-out texts from one who answers at random.
    untaught = distilled(tiny, material, tmp_path / "b", max_steps=1, teacher=AnswersAtRandom())
    (meaning,) = untaught.summary["meaning"]
    assert meaning == "the student is not shown to follow its teacher on held-out texts; do not judge with it"


def test_near_duplicates_are_learned_or_held_out_together(tiny: Path, material: Path, tmp_path: Path) -> None:
    base = training_rows()["text"]
    pd.DataFrame({"text": [*base, *(f"{text} !!" for text in base)]}).to_csv(tmp_path / "t.csv", index=False)
    short = {"max_steps": 1, "stage.values_per_text": 1, "data.texts": str(tmp_path / "t.csv")}
    found = distilled(tiny, material, tmp_path / "out", **short)
    data, head = found.summary["data"], judge_head(found.model)
    assert min(data["training"], data["validation"], data["held_out"]) > 20
    learned = head.has_learned(base.tolist())
    np.testing.assert_array_equal(learned, head.has_learned([f"{text} !!" for text in base]))
    assert 2 * learned.sum() == data["training"]


class RanksOnly:
    """A judge that gives single texts no utilities."""

    rankings_per_window = 1

    def rank(self, *_: object) -> None:
        raise NotImplementedError

    def describe(self) -> dict[str, object]:
        return {"kind": "ranks"}


class AnswersAtRandom(KnownTeacher):
    """Has an opinion of each text on each value that has nothing to do with what it says."""

    def text_utilities(self, criterion: Criterion, texts: Any, progress: Any) -> Any:
        said = super().text_utilities(criterion, texts, progress)
        keys = row_keys(pd.DataFrame({"text": said.texts, "value": criterion.value}), 0)
        return replace(said, utility=keyed_uniforms(keys, 1)[:, 0])


class SaysTheSame(KnownTeacher):
    """Tells no two texts apart."""

    def text_utilities(self, *given: Any) -> Any:
        said = super().text_utilities(*given)
        return replace(said, utility=np.ones(len(said.texts)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"teacher": RanksOnly()}, "teacher: is not a judge that gives single texts utilities"),
        ({"teacher": "llm"}, "teacher 'llm' is unknown"),
        ({"teacher": SaysTheSame()}, "on no value does it give 5 texts utilities that differ"),
        ({"data.texts": []}, "data.texts is empty"),
        ({"data.texts": "nowhere.csv"}, "nowhere.csv does not exist"),
        ({"data.train": "demo"}, "data.train is for the other stages"),
        ({"data.theory": "pvk"}, "data.theory=pvk: unknown; did you mean 'pvq'?"),
        ({"trainer": "ddp"}, "stage=distill runs in one process"),
        ({"trainer.devices": 2}, "stage=distill runs in one process"),
        ({"start_share": 0.3}, "a head fits only the weights that it was trained with"),
        ({"stage.values_per_text": 0}, "stage.values_per_text=0"),
        ({"stage.head_learning_rate": 0}, "stage.head_learning_rate=0"),
        ({"task": "test", "data.test": "demo"}, "stage.name=distill: unknown; Known: intra, inter"),
    ],
)
def test_what_cannot_be_distilled_is_told_in_one_line(
    change: dict[str, Any], told: str, tiny: Path, material: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        distilled(tiny, material, tmp_path / "out", **change)
    assert told in str(caught.value)
    assert not (tmp_path / "out" / "summary.json").exists()
