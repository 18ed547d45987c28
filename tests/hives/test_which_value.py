"""Which values a text refers to, against a literal vote and all permutations."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from valueflow.hives.data import checked_frame, training_table
from valueflow.hives.data.anchor_rows import level_rows
from valueflow.hives.metrics import cosine_similarities, normalized, values_of_texts, which_value
from valueflow.theory import load_theory


def table_of(*values: tuple[str, ...], theory: str = "pvq"):
    rows = [
        {"text": f"text {n:03}", "theory": theory, **levels, "direction": "support"}
        for n, own in enumerate(values)
        for value in own
        for levels in level_rows(load_theory(theory), value)
    ]
    return training_table([checked_frame(pd.DataFrame(rows).fillna(""), "rows")])


def test_values_are_those_the_theory_evaluates() -> None:
    # Below a value, at one (with two parents), at two, and above all of them.
    table = table_of(("caring",), ("hedonism",), ("power-dominance", "tradition"), ("self-transcendence",))
    names, values = values_of_texts(table.labels)
    assert names == ["benevolence", "hedonism", "power", "tradition"]
    assert values.astype(int).tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]]


def random_case(seed: int, n: int = 40, n_values: int = 5):
    rng = np.random.default_rng(seed)
    values = rng.random((n, n_values)) < 0.35
    values[~values.any(axis=1), 0] = True
    embeddings = normalized(values @ rng.normal(size=(n_values, 6)) + rng.normal(scale=0.7, size=(n, 6)))
    return embeddings, values, rng.integers(0, n - 5, n)


def literal_votes(embeddings, values, texts, i):
    similarities = cosine_similarities(embeddings, embeddings)[i]
    # Rows of one text are one neighbor, as near as the nearest of them, with the values of all.
    near = {text: max(similarities[texts == text]) for text in set(texts.tolist()) - {texts[i]}}
    others = sorted(near, key=lambda text: -near[text])[:10]
    votes = sum((1 + near[text]) * values[texts == text].any(axis=0).astype(float) for text in others)
    order = [v for v in np.argsort(-votes, kind="stable") if votes[v] > 0]
    many = max(round(sum(values[texts == text].any(axis=0).sum() for text in others) / 10), 1)
    return set(order[:3]), set(order[:many])


@pytest.mark.parametrize("seed", range(3))
def test_predictions_equal_a_literal_vote(seed: int) -> None:
    embeddings, values, texts = random_case(seed)
    found, has_values = which_value(embeddings, values, texts)
    assert has_values.all()
    recalls, counts = [], np.zeros((3, values.shape[1]))
    for i in range(len(values)):
        own = values[texts == texts[i]].any(axis=0)
        shown, predicted = literal_votes(embeddings, values, texts, i)
        assert set(np.flatnonzero(found.shown[i])) == shown
        assert set(np.flatnonzero(found.predicted[i])) == predicted
        true = set(np.flatnonzero(own))
        recalls.append(len(shown & true) / len(true))
        for v in range(values.shape[1]):
            counts[:, v] += v in predicted and v in true, v in predicted, v in true
    figures = found.figures()
    assert figures["value_recall_at_3"].value == pytest.approx(np.mean(recalls))
    f1 = [2 * hits / (predicted + true) if predicted + true else 0.0 for hits, predicted, true in counts.T]
    assert figures["value_macro_f1"].value == pytest.approx(np.mean(f1))


def test_chance_is_the_mean_over_all_orders_of_the_answers() -> None:
    embeddings, values, texts = random_case(1, n=30)
    found, _ = which_value(embeddings, values, texts)
    few = type(found)(found.true[:6], found.shown[:6], found.predicted[:6])
    by_order = []
    for order in permutations(range(6)):
        recall = (few.true & few.shown[list(order)]).sum(axis=1) / few.true.sum(axis=1)
        hits = (few.true & few.predicted[list(order)]).sum(axis=0)
        total = few.true.sum(axis=0) + few.predicted.sum(axis=0)
        there = few.true.any(axis=0)
        by_order.append((recall.mean(), (2 * hits[there] / total[there]).mean()))
    recall, f1 = np.mean(by_order, axis=0)
    figures = few.figures()
    assert figures["value_recall_at_3_chance"].value == pytest.approx(recall)
    assert figures["value_macro_f1_chance"].value == pytest.approx(f1)


def test_samples_are_figures_of_the_drawn_texts() -> None:
    embeddings, values, texts = random_case(2)
    found, _ = which_value(embeddings, values, texts)
    weights = np.random.default_rng(0).integers(0, 3, (5, len(texts))).astype(np.float32)
    samples = found.samples(weights)
    for number, drawn in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(len(texts)), drawn)
        literal = type(found)(found.true[rows], found.shown[rows], found.predicted[rows]).figures()
        for name in ("value_recall_at_3", "value_macro_f1"):
            assert samples[name].values[number] == pytest.approx(literal[name].value), name


def test_known_and_unknowable_values() -> None:
    values = np.repeat(np.eye(3, dtype=bool), 12, axis=0)
    known, _ = which_value(values.astype(float), values, np.arange(36))
    assert known.figures()["value_recall_at_3"].value == known.figures()["value_macro_f1"].value == 1.0
    # Too few texts to ask ten others.
    few, has_values = which_value(np.eye(3), np.eye(3, dtype=bool), np.arange(3))
    assert few.figures()["value_recall_at_3"].value is None
    assert not has_values.any()
