"""The published evaluator's definitions, read literally from names, by draws, and by another library."""

import json
import math
import tracemalloc
from itertools import combinations
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from tests.examples import examples
from tests.hives.labeled import SAME, case, category, cosine, make_labels, mean, raw_case
from valueflow.hives.metrics import category_pair_accuracies, held_out_metrics, published_metrics
from valueflow.run import InputError


def name_at(path, level):
    """Name of a path at a level, from 0; below its end its last one."""
    return str(path[min(level, len(path) - 1)])


def names_at(own, level):
    return {name_at(path, level) for path in own}


def literal_pairs_of_categories(sims, categories):
    """For each pair of categories the share of pairs of texts in order; ties are wrong."""
    shares = []
    for low, high in combinations(sorted(set(categories)), 2):
        lows = [s for s, c in zip(sims, categories, strict=True) if c == low]
        highs = [s for s, c in zip(sims, categories, strict=True) if c == high]
        shares.append(sum(t - s > SAME for s in lows for t in highs) / (len(lows) * len(highs)))
    return shares


def literal_nearest(query, embeddings, raw, rows, depth, width):
    """Number of the most similar training text; among equals the first by names, then by direction."""
    _, paths, directions, _ = raw

    def names(j):
        own = [tuple(name_at(path, level) for level in range(depth)) for path in paths[j]]
        # A text with fewer paths comes first.
        return [*own, *[("",) * depth] * (width - len(own))]

    return min(rows, key=lambda j: (-round(cosine(query, embeddings[j]), 8), names(j), directions[j]))


def literal_published(embeddings, raw, training=None):
    """Everything that can be averaged: {theory: {name: (value, number of texts)}}."""
    theories, paths, directions, _ = raw
    labels = make_labels(*raw)
    depth, found = labels.depth, {}
    for number in sorted(set(theories)):
        rows = [i for i in range(len(theories)) if theories[i] == number]
        figures, shares, queries = {}, [], 0
        for i in rows:
            others = [j for j in rows if j != i]
            own = literal_pairs_of_categories(
                [cosine(embeddings[i], embeddings[j]) for j in others], [category(labels, i, j) for j in others]
            )
            shares += own
            queries += bool(own)
        figures["ranking_accuracy"] = mean(shares)[0], queries
        x, y = [], []
        for i, j in combinations(rows, 2):
            equal = sum(bool(names_at(paths[i], level) & names_at(paths[j], level)) for level in range(depth))
            x.append(cosine(embeddings[i], embeddings[j]))
            y.append(equal + 0.5 * (directions[i] == directions[j]))
        varies = len(x) > 1 and max(x) - min(x) > SAME and max(y) > min(y)
        figures["similarity_correlation"] = (np.corrcoef(x, y)[0, 1] if varies else None), len(rows)
        known = []
        if training is not None:
            vectors, other = training
            known = [j for j in range(len(other[0])) if other[0][j] == number]
        rights = {name: [] for name in [*(f"knn_level_{level + 1}" for level in range(depth)), "direction_accuracy"]}
        for i in rows if known else []:
            j = literal_nearest(embeddings[i], vectors, other, known, depth, max(map(len, other[1])))
            for level in range(depth):
                rights[f"knn_level_{level + 1}"].append(
                    float(name_at(other[1][j][0], level) in names_at(paths[i], level))
                )
            rights["direction_accuracy"].append(float(directions[i] == other[2][j]))
        figures |= {name: mean(right) for name, right in rights.items()}
        found[f"t{number}"] = figures
    return found


def close(found, wanted):
    return found is None if wanted is None else found == pytest.approx(wanted, abs=1e-8)


def weighted(figures):
    figures = [(value, n) for value, n in figures if value is not None]
    return sum(value * n for value, n in figures) / sum(n for _, n in figures) if figures else None


def labeled(raw):
    embeddings, *rest = raw
    return embeddings, make_labels(*rest)


@settings(deadline=None, max_examples=examples(60))
@given(seed=st.integers(0, 10**6))
def test_published_metrics_equal_their_literal_definitions(seed):
    # Two tables of their own: other depths, other numbers, perhaps other theories.
    measured, trained = raw_case(seed), raw_case(seed + 1)
    result = published_metrics(*labeled(measured), labeled(trained))
    literal = literal_published(measured[0], measured[1:], (trained[0], trained[1:]))
    assert list(result["theories"]) == list(literal)
    for theory, figures in literal.items():
        own = result["theories"][theory]
        assert own.keys() - figures.keys() == {"n_training"}
        assert own["n_training"] == trained[1].count(int(theory[1:]))
        for name, (value, _) in figures.items():
            assert close(own[name], value), (theory, name, own[name], value)
    for name in next(iter(literal.values())):
        wanted = weighted([figures[name] for figures in literal.values()])
        assert close(result["overall"][name], wanted), name
    json.dumps(result, allow_nan=False)


@settings(deadline=None, max_examples=examples(30))
@given(seed=st.integers(0, 10**6), pairs=st.integers(1, 300))
def test_neither_the_order_of_texts_nor_the_size_of_blocks_matters(seed, pairs):
    (embeddings, labels), (vectors, known) = case(seed), case(seed + 1)
    wanted = published_metrics(embeddings, labels, (vectors, known))
    order, other = (np.random.default_rng(seed).permutation(len(own)) for own in (labels, known))
    with mock.patch("valueflow.hives.metrics.similarity.BLOCK_PAIRS", pairs):
        found = published_metrics(embeddings[order], labels.take(order), (vectors[other], known.take(other)))
    for name in wanted["theories"]:
        assert found["theories"][name] == pytest.approx(wanted["theories"][name], abs=1e-10, nan_ok=True)
    assert found["overall"] == pytest.approx(wanted["overall"], abs=1e-10)
    assert found["standard_errors"]["overall"] == pytest.approx(wanted["standard_errors"]["overall"], abs=1e-10)


# ---- Worked by hand


def test_pairs_of_categories_count_alike_and_ties_are_wrong():
    similarities = np.array([[0.75, 0.5, 0.25, 0.5, 0.5, 1.0]])
    categories = np.array([[2, 1, 0, 0, 0, -1]])
    # 2 > 1: 1 of 1. 2 > 0: 3 of 3. 1 > 0: 1 of 3, two are tied. By pairs of texts it would be (1 + 3 + 1 + 2 / 2) / 7.
    accuracy, pairs = category_pair_accuracies(similarities, categories)
    assert accuracy[0] == pytest.approx((1 + 1 + 1 / 3) / 3)
    assert pairs.tolist() == [3]
    # A category that nobody is in is in no pair.
    assert category_pair_accuracies(similarities, categories * 2)[1].tolist() == [3]
    accuracy, pairs = category_pair_accuracies(np.array([[0.5, 0.25], [0.5, 0.25]]), np.array([[3, 3], [-1, 0]]))
    assert np.isnan(accuracy).all()
    assert pairs.tolist() == [0, 0]


def test_each_pair_of_categories_of_each_text_counts_alike():
    # On a line: texts 0 and 1 see two categories each (same path and direction, other level 1), 2 sees one alone.
    angles = np.radians([0, 10, 30])
    embeddings = np.column_stack([np.cos(angles), np.sin(angles)])
    labels = make_labels([0] * 3, [[("a", "x")], [("a", "x")], [("b", "y")]], [0] * 3)
    assert published_metrics(embeddings, labels)["overall"]["ranking_accuracy"] == 1.0
    equal = published_metrics(np.ones((3, 2)), labels)["overall"]
    assert equal["ranking_accuracy"] == 0.0
    assert held_out_metrics(np.ones((3, 2)), labels)["overall"]["ranking_accuracy"] == 0.5


def test_equal_names_under_different_parents_are_equal():
    measured = [[("a", "justice")], [("b", "justice")], [("a", "mercy")]]
    trained = make_labels([0, 0], [[("c", "justice")], [("a", "power")]], [0, 2])
    labels = make_labels([0] * 3, measured, [0, 2, 0])
    known = (np.array([[1.0, 0.1], [-1.0, 0.0]]), trained)
    result = published_metrics([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.1]], labels, known)["overall"]
    # The first two find justice, under c; the third finds power, under its own a and with the other direction.
    assert result["knn_level_1"] == pytest.approx(1 / 3)
    assert result["knn_level_2"] == pytest.approx(2 / 3)
    assert result["direction_accuracy"] == pytest.approx(1 / 3)
    # Pairs 0-1, 0-2, 1-2 share 1 + 0, 1 + 0.5 and 0 + 0 by names; by paths 0-1 share nothing.
    sims = [1.0, cosine([1, 0], [-1, 0.1]), cosine([1, 0], [-1, 0.1])]
    assert result["similarity_correlation"] == pytest.approx(np.corrcoef(sims, [1.0, 1.5, 0.0])[0, 1])
    ours = held_out_metrics([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.1]], labels)["overall"]
    assert ours["similarity_correlation"] == pytest.approx(np.corrcoef(sims, [0.0, 1.5, 0.0])[0, 1])


def test_a_name_may_hold_a_slash():
    labels = make_labels([0, 0], [[("individualizing", "care/harm")], [("binding", "harm")]], [0, 0])
    known = (np.eye(2), make_labels([0, 0], [[("x", "care/harm")], [("x", "care/harm")]], [0, 0]))
    assert published_metrics(np.eye(2), labels, known)["overall"]["knn_level_2"] == 0.5


def test_other_theories_are_not_asked():
    labels = make_labels([0, 1], [[("a",)], [("a",)]], [0, 0])
    trained = make_labels([0, 0], [[("a",)], [("b",)]], [0, 0])
    result = published_metrics(np.eye(2), labels, (np.eye(2), trained))
    assert result["theories"]["t0"]["knn_level_1"] == 1.0
    assert result["theories"]["t0"]["n_training"] == 2
    assert result["theories"]["t1"]["knn_level_1"] is result["theories"]["t1"]["direction_accuracy"] is None
    assert result["theories"]["t1"]["n_training"] == 0
    assert result["overall"]["knn_level_1"] == 1.0


# ---- Against draws, and another library


def test_ranking_accuracy_is_what_draws_of_one_text_a_category_tend_to():
    rng = np.random.default_rng(3)
    labels = case(5, n=40, n_theories=1, depth=3, width=1)[1]
    embeddings = np.round(rng.normal(size=(40, 3)) + labels.paths[:, 0, :] % 5, 1)
    seen = [[category(labels, i, j) if i != j else None for j in range(40)] for i in range(40)]
    cosines = [[cosine(embeddings[i], embeddings[j]) for j in range(40)] for i in range(40)]
    right = total = 0
    for _ in range(300):
        for i in range(40):
            members = {c: [j for j in range(40) if seen[i][j] == c] for c in set(seen[i]) - {None}}
            drawn = {c: cosines[i][rng.choice(own)] for c, own in members.items()}
            for low, high in combinations(sorted(drawn), 2):
                right += drawn[high] - drawn[low] > SAME
                total += 1
    found = published_metrics(embeddings, labels)["overall"]["ranking_accuracy"]
    assert found == pytest.approx(right / total, abs=3 * math.sqrt(0.25 / total) + 0.002)


def test_nearest_training_texts_are_those_of_scikit_learn():
    measured, trained = raw_case(1, n=80, n_theories=1, width=1, depth=3), raw_case(2, n=120, n_theories=1, depth=3)
    rng = np.random.default_rng(0)
    embeddings, vectors = rng.normal(size=(80, 5)), rng.normal(size=(120, 5))
    result = published_metrics(embeddings, make_labels(*measured[1:]), (vectors, make_labels(*trained[1:])))["overall"]
    for level in range(3):
        nearest = KNeighborsClassifier(n_neighbors=1, metric="cosine")
        nearest.fit(vectors, [name_at(own[0], level) for own in trained[2]])
        wanted = nearest.score(embeddings, [name_at(own[0], level) for own in measured[2]])
        assert result[f"knn_level_{level + 1}"] == pytest.approx(wanted)
    nearest = KNeighborsClassifier(n_neighbors=1, metric="cosine").fit(vectors, trained[3])
    assert result["direction_accuracy"] == pytest.approx(nearest.score(embeddings, measured[3]))


def test_the_standard_error_of_a_ratio_is_that_of_resampled_texts():
    embeddings, labels = case(12, n=120, n_theories=1, depth=2, width=1, branches=3)
    embeddings = embeddings + np.random.default_rng(1).normal(size=embeddings.shape)
    result = published_metrics(embeddings, labels)
    sims = np.array([[cosine(a, b) for b in embeddings] for a in embeddings])
    seen = np.array([[category(labels, i, j) if i != j else -1 for j in range(120)] for i in range(120)])
    accuracy, pairs = category_pair_accuracies(sims, seen)
    assert result["overall"]["ranking_accuracy"] == pytest.approx((accuracy * pairs).sum() / pairs.sum())
    drawn = np.random.default_rng(2).integers(0, 120, (4000, 120))
    resampled = (accuracy * pairs)[drawn].sum(axis=1) / pairs[drawn].sum(axis=1)
    error = result["standard_errors"]["overall"]["ranking_accuracy"]
    assert error == pytest.approx(resampled.std(), rel=0.05)


# ---- Samples, memory, and what cannot be measured


def test_the_texts_of_both_blocks_are_the_same_sample():
    embeddings, labels = case(21, n=60, n_theories=1)
    known = case(22, n=40, n_theories=1)
    sampled = published_metrics(embeddings, labels, known, max_rows=20, seed=4)
    rows = np.sort(np.random.default_rng([4, 0]).choice(60, 20, replace=False))
    assert sampled == published_metrics(embeddings[rows], labels.take(rows), known)
    assert sampled["theories"]["t0"]["n_training"] == 40


def test_memory_does_not_hold_all_pairs(monkeypatch):
    monkeypatch.setattr("valueflow.hives.metrics.similarity.BLOCK_PAIRS", 1 << 14)
    n = 1500
    (_, labels), (_, known) = (case(seed, n=n, n_theories=1, width=1, depth=3) for seed in (3, 4))
    embeddings, vectors = (np.random.default_rng(seed).normal(size=(n, 8)) for seed in (3, 4))
    tracemalloc.start()
    published_metrics(embeddings, labels, (vectors, known))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * n * n / 4


def test_without_training_texts_there_is_no_nearest():
    embeddings, labels = case(9, n=20)
    result = published_metrics(embeddings, labels)
    assert result["overall"]["ranking_accuracy"] is not None
    assert result["overall"]["knn_level_1"] is result["overall"]["direction_accuracy"] is None
    assert result["standard_errors"]["overall"]["knn_level_1"] is None
    assert {own["n_training"] for own in result["theories"].values()} == {0}


def test_single_texts_and_none_at_all_have_no_metrics():
    labels = make_labels([0, 1], [[("a", "b")], [("c", "d")]], [0, 1])
    for rows in ([0, 1], [0], []):
        index = np.array(rows, dtype=np.int64)
        result = published_metrics(np.eye(2)[index], labels.take(index), (np.empty((0, 2)), labels.take(index[:0])))
        assert set(result["overall"].values()) == {None}
        assert set(result["standard_errors"]["overall"].values()) == {None}
        json.dumps(result, allow_nan=False)


def test_faulty_embeddings_are_told():
    labels = make_labels([0] * 3, [[("a",)]] * 3, [0] * 3)
    with pytest.raises(InputError, match="1 of 3 texts .the first is number 2."):
        published_metrics(np.eye(3), labels, ([[1.0], [np.inf], [0.0]], labels))
    with pytest.raises(ValueError, match="one row for each of 3 texts"):
        published_metrics(np.eye(3), labels, (np.eye(2), labels))
