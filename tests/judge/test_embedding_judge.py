"""The embedding judge on real vectors: what it may not have seen, and what must not change its rankings."""

from pathlib import Path

import numpy as np
import pytest

from valueflow.encoder import load_encoder
from valueflow.judge import Criterion, EmbeddingJudge, TextJudge, Windows
from valueflow.judge.embedding import _fit
from valueflow.judge.features import MAX_SENTENCES, feature_map, split_sentences
from valueflow.judge.head import IntensityHead
from valueflow.theory import load_theory, theory_from_mapping
from valueflow.vidb import Anchors, Vidb

pytestmark = pytest.mark.slow

PVQ = load_theory("pvq")


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VALUEFLOW_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def vidb() -> Vidb:
    good = ["I nursed my neighbour for weeks", "He gave his coat to a stranger", "We cooked for the whole street"]
    bad = ["I laughed when she fell", "He took the beggar's coins", "Nobody gets a cent from me"]
    plain = ["The bus leaves at nine", "My shoes are brown"]
    texts = np.array(bad + plain + good, dtype=object)
    benevolence = Anchors("pvq", "benevolence", texts, np.array([-9.0, -8, -6, 0, 0.5, 6, 8, 9]))
    own = np.array(["I command here", good[0], "Power bores me"], dtype=object)
    return Vidb("test", (benevolence, Anchors("pvq", "power", own, np.array([-8.0, 0, 9]))), 0, "digest")


def windows(base: Vidb, texts: list[str], seed: int = 0) -> Windows:
    rng = np.random.default_rng(seed)
    n = len(texts)
    return Windows(
        responses=np.arange(n),
        anchors=np.array([rng.permutation(8)[:4] for _ in range(n)]),
        prompt_order=np.array([rng.permutation(5) + 1 for _ in range(n)]),
        response_texts=np.array(texts, dtype=object),
        anchor_set=base.anchors[0],
    )


def criterion_of(base: Vidb) -> Criterion:
    return Criterion(PVQ, "benevolence", base)


def ignore(done: int, failed: int, note: str = "") -> None:
    """Progress that nobody watches."""


def rank(base: Vidb, asked: Windows, **options: int) -> np.ndarray:
    counted = []
    criterion = criterion_of(base)
    rankings = EmbeddingJudge(**options).rank(criterion, asked, lambda done, failed: counted.append((done, failed)))
    assert rankings.ranked.all()
    assert sum(done for done, _ in counted) == len(asked)
    return rankings.orders


def test_rankings_are_permutations_that_put_kind_deeds_above_cruel_ones() -> None:
    base = vidb()
    texts = ["I sat with the dying man so that he was not alone."] * 20 + [
        "I kicked the dog and stole from my mother."
    ] * 20
    orders = rank(base, windows(base, texts))
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(1, 6), (40, 1)))
    places = (orders == 1).argmax(axis=1)
    assert places[:20].mean() < places[20:].mean()


def test_batch_size_does_not_change_rankings_nor_does_company() -> None:
    base = vidb()
    texts = ["I help.", "I harm. " * 50, "Tea, please.", "{[(\n\x07", "x" * 5000]
    asked = windows(base, texts)
    together = rank(base, asked, batch_size=64)
    np.testing.assert_array_equal(rank(base, asked, batch_size=1), together)
    for row in range(len(texts)):
        alone = Windows(
            np.array([0]), asked.anchors[[row]], asked.prompt_order[[row]], asked.response_texts[[row]], base.anchors[0]
        )
        np.testing.assert_array_equal(rank(base, alone)[0], together[row])


def test_an_anchor_asked_as_a_response_is_scored_by_a_head_that_has_not_seen_it() -> None:
    """Against a fit on a VIDB from which the text has been taken, with the same weights."""
    base = vidb()
    features = feature_map(load_encoder("minilm"), 64)
    fitted = _fit(base, PVQ, features, None)
    text = "I nursed my neighbour for weeks"  # an anchor of both values
    number = fitted.texts[text]
    keep = np.flatnonzero(fitted.head.observations.text != number)
    refit = IntensityHead(fitted.head.observations[keep], fitted.head.weights)
    seen = features([text])
    relevance = features.relevance(seen.vectors, fitted.definitions[0])
    expected = refit.predict(seen.phi, relevance, 0)[0]
    read = EmbeddingJudge().text_utilities(criterion_of(base), ["tea", text, "tea"], ignore)
    assert read.texts.tolist() == ["tea", text]
    got = read.of([text])[0]
    assert got == pytest.approx(expected, abs=1e-8)
    own, other = EmbeddingJudge().anchor_utilities(criterion_of(base), ignore)
    assert own.of([text])[0] == pytest.approx(expected, abs=1e-8)
    assert (other.value, other.texts.tolist()) == ("power", base.anchors[1].texts.tolist())
    assert abs(got - fitted.head.predict(seen.phi, relevance, 0)[0]) > 1e-3


def test_rankings_are_the_order_of_the_utilities() -> None:
    base = vidb()
    texts = ["I sat with the dying man.", "Nobody gets a cent from me", "Tea, please.", "I stole from my mother."]
    asked = windows(base, texts, seed=3)
    counted: list[int] = []
    judge, criterion = EmbeddingJudge(), criterion_of(base)
    read = judge.text_utilities(criterion, texts, lambda done, failed, note="": counted.append(done))
    anchors = judge.anchor_utilities(criterion, lambda done, failed, note="": counted.append(done))
    assert sum(counted) == len(texts) + 8 + 3
    assert isinstance(judge, TextJudge)
    for row, order in enumerate(rank(base, asked)):
        items = [read.of([texts[row]])[0], *anchors[0].utility[asked.anchors[row]]]
        np.testing.assert_array_equal(order, np.argsort(-np.array(items)) + 1)


def test_copies_in_a_window_are_ordered_by_the_prompt_alone() -> None:
    texts = np.array(["same words", "same words", "other words"], dtype=object)
    twins = Anchors("pvq", "benevolence", texts, np.array([-5.0, 1, 5]))
    base = Vidb("test", (twins,), 0, "digest")
    asked = Windows(
        responses=np.zeros(2, dtype=np.int64),
        anchors=np.array([[0, 1], [0, 1]]),
        prompt_order=np.array([[1, 2, 3], [3, 2, 1]]),
        response_texts=np.array(["tea"], dtype=object),
        anchor_set=twins,
    )
    orders = rank(base, asked)
    first, second = ([item for item in row if item != 1] for row in orders.tolist())
    assert (first, second) == ([2, 3], [3, 2])


def test_values_of_a_theory_of_ones_own_need_no_more_than_a_definition() -> None:
    node = {"label": "rescue", "definition": "Turning round for anyone in distress."}
    theory = theory_from_mapping(
        {"name": "sea", "title": "t", "label": "l", "source": "s", "values": ["rescue"], "nodes": {"rescue": node}}
    )
    pool = Anchors("sea", "rescue", vidb().anchors[0].texts, vidb().anchors[0].intensities)
    base = Vidb("test", (pool,), 0, "digest")
    asked = Windows(
        np.array([0]), np.array([[0, 3, 6]]), np.array([[1, 2, 3, 4]]), np.array(["Ahoy"], dtype=object), pool
    )
    rankings = EmbeddingJudge().rank(Criterion(theory, "rescue", base), asked, lambda done, failed: None)
    assert sorted(rankings.orders[0].tolist()) == [1, 2, 3, 4]


def test_seed_pairs_are_opposites_of_plain_length() -> None:
    path = Path(__file__).parents[2] / "valueflow" / "assets" / "seed_pairs.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "favorable,unfavorable"
    assert len(set(lines)) == len(lines) >= 41


def test_features_of_a_paragraph_are_the_mean_of_its_sentences() -> None:
    features = feature_map(load_encoder("minilm"), 64)
    whole = features(["Tea", "I helped her. Nobody else did!\n\nWhy should they?", "A"])
    alone = features(["I helped her.", "Nobody else did!", "Why should they?"])
    np.testing.assert_allclose(whole.phi[1], alone.phi.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(whole.vectors[1], alone.vectors.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(whole.phi[0]), 1)


def test_sentences_are_counted_and_long_texts_truncated() -> None:
    assert split_sentences("One. Two? Three!\nFour 4.5") == ["One.", "Two?", "Three!", "Four 4.5"]
    assert split_sentences(" \n ") == [" \n "]
    assert split_sentences("") == [""]
    assert len(split_sentences("Again. " * 1000)) == MAX_SENTENCES


def test_a_head_that_learns_from_a_part_reads_all_anchors_of_windows_unseen() -> None:
    base = vidb()
    texts = ["I sat with the dying man.", "I kicked the dog.", str(base.anchors[0].texts[0])]
    asked = windows(base, texts)
    judge = EmbeddingJudge(max_anchors=6, seed=1)
    ranked = judge.rank(criterion_of(base), asked, ignore)
    assert ranked.report["learned_from"] == {
        "anchors": 6,
        "of": 11,
        "most_of_a_value": 3,
        "chosen": "evenly over values and points of the scale",
        "seed": 1,
    }
    read = judge.anchor_utilities(criterion_of(base), ignore)
    assert [int(np.isfinite(own.utility).sum()) for own in read] == [3, 3]
    assert [int((own.failures != "").sum()) for own in read] == [5, 0]
    # What a head says of texts that it has not learned is what one says that was fitted on the others alone.
    own = base.anchors[0]
    learned = np.flatnonzero(np.isfinite(read[0].utility))
    rest = Vidb("rest", (own[learned], base.anchors[1]), 0, "digest")
    others = np.setdiff1d(np.arange(len(own)), learned)
    alone = EmbeddingJudge().text_utilities(criterion_of(rest), own.texts[others].tolist(), ignore).utility
    mine = judge.text_utilities(criterion_of(base), own.texts[others].tolist(), ignore).utility
    np.testing.assert_allclose(mine, alone, atol=1e-9)
    utilities = dict(zip(own.texts[others], alone, strict=True)) | dict(zip(own.texts, read[0].utility, strict=True))
    utilities |= dict(zip(own.texts[others], alone, strict=True))
    shown = np.array([[utilities[own.texts[anchor]] for anchor in row] for row in asked.anchors])
    order_of_anchors = np.argsort(-shown, axis=1, kind="stable") + 2
    for order, wanted in zip(ranked.orders, order_of_anchors, strict=True):
        assert [item for item in order.tolist() if item != 1] == wanted.tolist()
