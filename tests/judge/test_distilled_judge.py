"""A head that was distilled into an encoder: its formula, its files, and the judge that reads texts by it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.judge.heads import save_head
from valueflow import evaluate_responses
from valueflow.encoder import load_model
from valueflow.judge import (
    Criterion,
    DistilledJudge,
    EmbeddingJudge,
    Judge,
    TextJudge,
    Windows,
    definition_text,
    embedding_judge,
)
from valueflow.judge.distilled import _tell_learned
from valueflow.judge.utility_head import CARD_FILE, HEAD_FILE, read_head
from valueflow.run import InputError
from valueflow.theory import load_theory, theory_from_mapping
from valueflow.vidb import Anchors, Vidb

PVQ = load_theory("pvq")
LONG = "again and " * 200
TEXTS = ["I help my neighbor.", "I command here.", "Tea, please.", "{[(\n\x07", LONG, "Nobody gets a cent."]
LEARNED = [TEXTS[0], "Never seen again"]


def ignore(done: int, failed: int, note: str = "") -> None:
    """Progress that nobody watches."""


def embedded(folder: Path, texts: list[str]) -> np.ndarray:
    """Embed texts one by one, by the library alone."""
    model = load_model(str(folder), device="cpu")
    return np.stack([model.encode(text, normalize_embeddings=True).astype(np.float64) for text in texts])


@pytest.fixture(scope="module")
def folder(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an encoder's folder with a head of random numbers."""
    return save_head(tiny, tmp_path_factory.mktemp("distilled") / "model", LEARNED)


def expected(folder: Path, texts: list[str], definition: str) -> np.ndarray:
    """Compute utilities by the formula, number by number, from what the files hold."""
    arrays = load_file(folder / HEAD_FILE)
    vectors = embedded(folder, texts)
    supports, opposes = embedded(
        folder, [f"Somebody supports this. {definition}", f"Somebody opposes this. {definition}"]
    )
    found = []
    for vector in vectors:
        total = float(arrays["offset"][0])
        for i in range(32):
            total += vector[i] * arrays["slope"][i]
            for j in range(32):
                total += vector[i] * arrays["matrix"][i, j] * (supports[j] - opposes[j])
        found.append(total)
    return np.array(found)


def vidb() -> Vidb:
    texts = np.array(["He stole.", TEXTS[0], "The bus is late.", "We cooked for all."], dtype=object)
    own = np.array(["I obey.", "I rule."], dtype=object)
    sets = (
        Anchors("pvq", "benevolence", texts, np.array([-9.0, -2, 0, 8])),
        Anchors("pvq", "power", own, np.array([-5.0, 5])),
    )
    return Vidb("test", sets, 0, "digest")


def windows(base: Vidb, texts: list[str]) -> Windows:
    n = len(texts)
    rng = np.random.default_rng(0)
    return Windows(
        responses=np.arange(n),
        anchors=np.array([rng.permutation(4)[:3] for _ in range(n)]),
        prompt_order=np.array([rng.permutation(4) + 1 for _ in range(n)]),
        response_texts=np.array([*texts, None], dtype=object)[:-1],
        anchor_set=base.anchors[0],
    )


def test_utilities_are_those_of_the_formula(folder: Path) -> None:
    judge = embedding_judge(str(folder))
    assert isinstance(judge, DistilledJudge)
    assert isinstance(judge, Judge)
    assert isinstance(judge, TextJudge)
    counted: list[int] = []
    criterion = Criterion(PVQ, "benevolence", vidb())
    read = judge.text_utilities(criterion, [*TEXTS, TEXTS[0]], lambda done, failed, note="": counted.append(done))
    node = PVQ.nodes["benevolence"]
    assert read.texts.tolist() == TEXTS
    np.testing.assert_allclose(read.utility, expected(folder, TEXTS, f"{node.label}: {node.definition}"), atol=2e-5)
    assert sum(counted) == len(TEXTS)
    assert read.report["texts_truncated"] == 1
    assert judge.describe() == {
        "kind": "embedding",
        "encoder": str(folder),
        "head": {"digest": judge.describe()["head"]["digest"], "teacher": {"kind": "logprob", "model": "someone"}},  # type: ignore[index]
    }


def test_windows_are_ranked_by_utility_whoever_else_is_asked(folder: Path) -> None:
    base, judge = vidb(), DistilledJudge(str(folder))
    texts = TEXTS[1:]  # of equal texts the prompt decides
    asked, criterion = windows(vidb(), texts), Criterion(PVQ, "benevolence", base)
    counted: list[int] = []
    together = judge.rank(criterion, asked, lambda done, failed, note="": counted.append(done))
    assert together.ranked.all()
    assert sum(counted) == len(texts)
    anchors = judge.anchor_utilities(criterion, ignore)
    assert [(own.value, len(own.texts)) for own in anchors] == [("benevolence", 4), ("power", 2)]
    read = judge.text_utilities(criterion, texts, ignore)
    for row, order in enumerate(together.orders):
        items = [read.utility[row], *anchors[0].of(asked.anchor_set.texts[asked.anchors[row]])]
        np.testing.assert_array_equal(order, np.argsort(-np.array(items)) + 1)
        alone = replace(
            asked,
            responses=asked.responses[[row]],
            anchors=asked.anchors[[row]],
            prompt_order=asked.prompt_order[[row]],
        )
        np.testing.assert_array_equal(DistilledJudge(str(folder), 1).rank(criterion, alone, ignore).orders[0], order)


def test_windows_among_each_other_need_no_anchors(folder: Path) -> None:
    texts = np.array(TEXTS[:4], dtype=object)
    items = np.array([[0, 1, 2], [3, 1, 0]])
    asked = Windows.among("pvq", "power", texts, items, np.array([[1, 2, 3], [3, 1, 2]]))
    criterion = Criterion(PVQ, "power", Vidb("none", (), 0, "digest"))
    ranked = DistilledJudge(str(folder)).rank(criterion, asked, ignore)
    said = DistilledJudge(str(folder)).text_utilities(criterion, texts.tolist(), ignore).utility
    for order, row in zip(ranked.orders, items, strict=True):
        np.testing.assert_array_equal(order, np.argsort(-said[row]) + 1)


def test_anchors_that_it_was_distilled_on_are_counted_and_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    _tell_learned.cache_clear()  # told once per process
    criterion = Criterion(PVQ, "benevolence", vidb())
    report = DistilledJudge(str(folder), 7).anchor_utilities(criterion, ignore)[0].report
    assert report["anchors_learned"] == {"texts": 1, "of": 6}
    ranked = DistilledJudge(str(folder)).rank(criterion, windows(vidb(), TEXTS), ignore)
    assert ranked.report["anchors_learned"] == {"texts": 1, "of": 4}
    assert "was distilled on 1 of these 6 anchors" in caplog.text


def test_what_is_said_of_anchors_is_said_of_those_of_all_values(folder: Path) -> None:
    base = vidb()
    own = Anchors("pvq", "power", np.array([LONG, LEARNED[1]], dtype=object), np.array([-5.0, 5]))
    base = Vidb("test", (base.anchors[0], own, base.anchors[1]), 0, "digest")
    read = DistilledJudge(str(folder)).anchor_utilities(Criterion(PVQ, "benevolence", base), ignore)
    learned = {"texts": 2, "of": 8}
    assert [one.report for one in read] == [
        {"texts_truncated": 1, "texts_learned": 2, "anchors_learned": learned} for _ in range(3)
    ]


def test_values_of_another_theory_are_read_by_their_definitions(folder: Path) -> None:
    node = {"label": "rescue", "definition": "Turning round for anyone in distress."}
    sea = theory_from_mapping(
        {"name": "sea", "title": "t", "label": "l", "source": "s", "values": ["rescue"], "nodes": {"rescue": node}}
    )
    read = DistilledJudge(str(folder)).text_utilities(Criterion(sea, "rescue", vidb()), TEXTS, ignore)
    wanted = expected(folder, TEXTS, "rescue: Turning round for anyone in distress.")
    np.testing.assert_allclose(read.utility, wanted, atol=2e-5)
    # One that nobody knows has its bare name.
    assert definition_text("mine", "self_made-luck", sea) == "self made luck"


def test_which_head_is_chosen(folder: Path, tiny: Path) -> None:
    assert embedding_judge(str(folder), head="anchors") == EmbeddingJudge(str(folder))
    assert embedding_judge(str(tiny)) == EmbeddingJudge(str(tiny))
    assert embedding_judge("some-name", seed=7) == EmbeddingJudge("some-name", seed=7)
    assert embedding_judge(str(folder), head="distilled", batch_size=9) == DistilledJudge(str(folder), 9)


@pytest.mark.parametrize("encoder", ["minilm", "tiny"])
def test_an_encoder_without_a_head_says_so_when_it_is_asked_for(encoder: str, tiny: Path) -> None:
    with pytest.raises(InputError, match="has no distilled head"):
        embedding_judge(str(tiny) if encoder == "tiny" else encoder, head="distilled")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"head": "distiled"}, "judge.head=distiled: unknown; did you mean 'distilled'?"),
        ({"encoder": ""}, "judge.encoder=: give a name or a folder"),
        ({"batch_size": 0}, "judge.batch_size=0: give a whole number of 1 or more"),
    ],
)
def test_settings_that_cannot_be(given: dict[str, object], told: str, folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        embedding_judge(**{"encoder": str(folder), **given})  # type: ignore[arg-type]
    assert told in str(caught.value)


def damaged(folder: Path, tmp_path: Path) -> Path:
    own = tmp_path / "model"
    shutil.copytree(folder, own)
    return own


def told_of(own: Path) -> str:
    with pytest.raises(InputError) as caught:
        embedding_judge(str(own))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_damaged_heads_are_told_in_one_line(folder: Path, tmp_path: Path) -> None:
    own = damaged(folder, tmp_path)
    whole = (own / HEAD_FILE).read_bytes()
    (own / HEAD_FILE).write_bytes(whole[:100])
    assert "cannot be used" in told_of(own)
    arrays = load_file(folder / HEAD_FILE)
    save_file({name: array for name, array in arrays.items() if name != "slope"}, own / HEAD_FILE)
    assert "'matrix' is missing or of another shape" in told_of(own)
    save_file({**arrays, "matrix": arrays["matrix"][:5]}, own / HEAD_FILE)
    assert "'matrix' is missing or of another shape" in told_of(own)
    save_file({**arrays, "offset": np.array([np.nan], dtype=np.float32)}, own / HEAD_FILE)
    assert "'offset' has numbers that are not finite" in told_of(own)
    (own / HEAD_FILE).write_bytes(whole)
    (own / CARD_FILE).write_text("[1")
    assert CARD_FILE in told_of(own)
    (own / CARD_FILE).write_text("[1]")
    assert "its card is no object" in told_of(own)
    (own / CARD_FILE).write_text('{"format": 1}')
    assert "it is of another version of ValueFlow" in told_of(own)
    (own / CARD_FILE).unlink()
    assert CARD_FILE in told_of(own)


def test_a_head_beside_another_encoder_is_refused(folder: Path, tmp_path: Path) -> None:
    own = damaged(folder, tmp_path)
    head = read_head(str(own))
    replace(head, probe=-head.probe).write(own)
    with pytest.raises(InputError, match="was trained with another encoder"):
        DistilledJudge(str(own)).text_utilities(Criterion(PVQ, "power", vidb()), ["tea"], ignore)


def test_the_card_is_json_and_survives(folder: Path) -> None:
    assert json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))["teacher"]["model"] == "someone"
    assert read_head(str(folder)).has_learned([*LEARNED, "other"]).tolist() == [True, True, False]


@pytest.mark.parametrize("estimator", ["map", "regression"])
def test_evaluations_go_on_as_with_any_judge(folder: Path, estimator: str, tmp_path: Path) -> None:
    found = evaluate_responses(
        value="benevolence",
        intensity=2,
        estimator=estimator,
        judge_check=False,
        m=2,
        progress=False,
        output_dir=tmp_path,
        **{"judge.encoder": str(folder)},
    )
    assert found.scores["benevolence_score"].notna().all()
    assert (tmp_path / "text_scores.csv").is_file()
    assert found.summary["judge"]["head"]["teacher"]["model"] == "someone"


def test_many_texts_leave_nothing_on_disk(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path))
    texts = [f"I counted {number} stars." for number in range(150)]
    read = DistilledJudge(str(folder)).text_utilities(
        Criterion(PVQ, "power", Vidb("none", (), 0, "digest")), texts, ignore
    )
    assert len(np.unique(read.utility)) > 1
    assert not list(tmp_path.rglob("*.npy"))
