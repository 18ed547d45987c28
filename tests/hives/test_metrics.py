import json
import math
import tracemalloc
from dataclasses import replace
from itertools import combinations, pairwise, permutations, product
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.hives.labeled import SAME, case, category, cosine, make_labels, mean, prefixes, same, shared
from valueflow.hives.data import NONE
from valueflow.hives.metrics import (
    average_precisions,
    chance_average_precision,
    concept_retrieval,
    cosine_similarities,
    held_out_metrics,
    knn_correct,
    mean_and_count,
    normalized,
    orthogonality,
    ranking_accuracies,
)
from valueflow.run import InputError

WHICH_VALUE = {"value_recall_at_3", "value_recall_at_3_chance", "value_macro_f1", "value_macro_f1_chance"}
"""They have tests of their own."""

# ---- A literal reading of the definitions: loops over texts, pairs and triples, in plain Python. ----


def literal_pairwise(sims, categories):
    score, pairs = 0.0, 0
    for (s, c), (t, d) in product(list(zip(sims, categories, strict=True)), repeat=2):
        if c > d:
            pairs += 1
            score += 0.5 if abs(s - t) < SAME else float(s > t)
    return score / pairs if pairs else None


def literal_strict(sims, categories):
    members = [[s for s, c in zip(sims, categories, strict=True) if c == own] for own in sorted(set(categories))]
    if len(members) < 2:
        return None
    chains = list(product(*members))
    return sum(all(b - a > SAME for a, b in pairwise(chain)) for chain in chains) / len(chains)


def literal_correlation(x, y):
    if len(x) < 2 or max(x) - min(x) < SAME or max(y) == min(y):
        return None
    return float(np.corrcoef(x, y)[0, 1])


def literal_nearest(labels, rows, cosines, i, k):
    def nearness(j):
        return (-round(cosines[i, j], 8), tuple(labels.paths[j].ravel()), labels.directions[j])

    return sorted((j for j in rows if j != i), key=nearness)[:k]


def literal_knn(labels, nearest, i, level):
    votes = {}
    for j in nearest:
        for number in dict.fromkeys(labels.paths[j, :, level].tolist()):
            if number != NONE:
                votes[number] = votes.get(number, 0) + 1
    # A dict keeps the order in which it met the prefixes, and max takes the first.
    return max(votes, key=votes.get) in prefixes(labels, i, level)


def literal_direction_vote(labels, nearest, i):
    votes = {}
    for j in nearest:
        votes[labels.directions[j]] = votes.get(labels.directions[j], 0) + 1
    return max(votes, key=votes.get) == labels.directions[i]


def literal_ratio(cosines, pairs, upper, lower):
    """Quotient of mean distances, and the number of texts that have pairs of the rarer kind."""
    both = [[pair for pair in pairs if holds(*pair)] for holds in (upper, lower)]
    texts = min(len({i for pair in chosen for i in pair}) for chosen in both)
    distances = [mean([1 - cosines[pair] for pair in chosen])[0] for chosen in both]
    if None in distances or distances[1] < SAME:
        return None, texts
    return distances[0] / distances[1], texts


def literal_orthogonality(embeddings, labels, rows):
    members = {}
    for i in rows:
        length = np.linalg.norm(embeddings[i])
        for leaf in prefixes(labels, i, labels.depth - 1):
            members.setdefault(leaf, []).append(embeddings[i] / (length or 1.0))
    vectors = [np.mean(own, axis=0) for own in members.values()]
    vectors = [vector for vector in vectors if np.linalg.norm(vector) > SAME]
    return mean([1 - abs(cosine(a, b)) for a, b in combinations(vectors, 2)])[0]


def literal_average_precision(flags):
    found = [sum(flags[: place + 1]) / (place + 1) for place, flag in enumerate(flags) if flag]
    return sum(found) / len(found)


def literal_metrics(embeddings, labels, k):
    """Everything that can be averaged: {name: [(value, number of texts), one per theory]}."""
    n, depth = len(labels), labels.depth
    cosines = {(i, j): cosine(embeddings[i], embeddings[j]) for i in range(n) for j in range(n)}
    theories = {}
    for number in sorted(set(labels.theories.tolist())):
        rows = [i for i in range(n) if labels.theories[i] == number]
        figures = {}
        seen = [
            (
                [cosines[i, j] for j in rows if j != i],
                [category(labels, i, j) for j in rows if j != i],
            )
            for i in rows
        ]
        figures["ranking_accuracy"] = mean([literal_pairwise(*own) for own in seen])
        figures["strict_accuracy"] = mean([literal_strict(*own) for own in seen])
        pairs = list(combinations(rows, 2))
        x = [cosines[pair] for pair in pairs]
        y = [shared(labels, *pair) + 0.5 * same(labels, *pair) for pair in pairs]
        figures["similarity_correlation"] = literal_correlation(x, y), len(rows)
        figures["orthogonality"] = literal_orthogonality(embeddings, labels, rows), len(rows)
        nearest = {i: literal_nearest(labels, rows, cosines, i, k) for i in rows if len(rows) > k}
        for level in range(depth):
            figures[f"knn_level_{level + 1}"] = mean(
                [float(literal_knn(labels, nearest[i], i, level)) for i in nearest]
            )
        figures["direction_accuracy"] = mean([float(literal_direction_vote(labels, nearest[i], i)) for i in nearest])
        directions = [labels.directions[i] for i in nearest]
        most = max((directions.count(direction) for direction in directions), default=0)
        figures["direction_accuracy_chance"] = mean([most / len(rows) for _ in nearest])
        conditions = {"none": lambda i, j: False}
        for name, agrees in (("", None), ("_same_direction", True), ("_other_direction", False)):
            for m in range(depth + 1):
                conditions[f"shared_{m}{name}"] = lambda i, j, m=m, agrees=agrees: (
                    shared(labels, i, j) == m and agrees in (None, same(labels, i, j))
                )
        for name in ("", "_same_direction", "_other_direction"):
            there = [m for m in range(depth + 1) if any(conditions[f"shared_{m}{name}"](*pair) for pair in pairs)]
            for m in range(depth):
                more = [other for other in there if other > m]
                over = conditions[f"shared_{m}{name}"], conditions[f"shared_{more[0]}{name}" if more else "none"]
                figures[f"shared_{m}_to_next{name}"] = literal_ratio(cosines, pairs, *over)
        for m in range(depth + 1):
            over = conditions[f"shared_{m}_other_direction"], conditions[f"shared_{m}_same_direction"]
            figures[f"shared_{m}_other_to_same_direction"] = literal_ratio(cosines, pairs, *over)
        del conditions["none"]
        conditions["same_direction"] = lambda i, j: same(labels, i, j)
        conditions["other_direction"] = lambda i, j: not same(labels, i, j)
        for name, holds in conditions.items():
            chosen = [pair for pair in pairs if holds(*pair)]
            figures[name] = mean([1 - cosines[pair] for pair in chosen])[0], len({i for pair in chosen for i in pair})
        theories[labels.theory_names[number]] = figures
    return theories


def weighted(figures):
    figures = [(value, n) for value, n in figures if value is not None]
    return sum(value * n for value, n in figures) / sum(n for _, n in figures) if figures else None


def close(found, wanted):
    return found is None if wanted is None else found == pytest.approx(wanted, abs=1e-8, rel=1e-7)


@settings(deadline=None, max_examples=examples(60))
@given(seed=st.integers(0, 10**6), k=st.integers(1, 5))
def test_all_metrics_equal_their_literal_definitions(seed, k):
    embeddings, labels = case(seed)
    result = held_out_metrics(embeddings, labels, k=k)
    literal = literal_metrics(embeddings, labels, k)
    assert list(result["theories"]) == list(literal)
    for theory, figures in literal.items():
        own = result["theories"][theory]
        n = int((labels.theories == labels.theory_names.index(theory)).sum())
        assert own["n"] == own["n_total"] == n
        found = own | result["distances"]["theories"][theory] | result["distance_ratios"]["theories"][theory]
        assert found.keys() - figures.keys() == {"n", "n_total", *WHICH_VALUE}
        for name, (value, _) in figures.items():
            assert close(found[name], value), (theory, name, found[name], value)
    overall = result["overall"] | result["distances"]["overall"] | result["distance_ratios"]["overall"]
    names = next(iter(literal.values())).keys()
    assert overall.keys() - names == {"anchor_retrieval", "anchor_retrieval_chance", *WHICH_VALUE}
    for name in names:
        assert close(overall[name], weighted([figures[name] for figures in literal.values()])), name
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize(("depth", "width"), [(1, 1), (2, 3), (3, 2), (4, 3)])
def test_larger_cases_equal_their_literal_definitions(depth, width):
    embeddings, labels = case(depth, n=34, n_theories=1, depth=depth, width=width)
    result, literal = held_out_metrics(embeddings, labels), literal_metrics(embeddings, labels, 5)["t0"]
    found = result["overall"] | result["distances"]["overall"] | result["distance_ratios"]["overall"]
    for name, (value, _) in literal.items():
        assert value is not None or name.startswith("shared")
        assert close(found[name], value), name


# ---- Worked by hand ----


def test_rankings_by_hand():
    similarities = np.array([[0.75, 0.5, 0.25, 0.5, 1.0]])
    categories = np.array([[2, 1, 0, 0, -1]])
    # 2 > 1, 2 > 0 twice, 1 > 0 once, 1 tied with 0 once: 4.5 of 5; of two chains one descends.
    pairwise, strict = ranking_accuracies(similarities, categories)
    assert pairwise.tolist() == [0.9]
    assert strict.tolist() == [0.5]
    # A category that nobody is in is no link of the chain.
    assert ranking_accuracies(similarities, categories * 2)[1].tolist() == [0.5]


def test_rankings_without_two_categories_are_not_defined():
    pairwise, strict = ranking_accuracies(np.array([[0.5, 0.25], [0.5, 0.25]]), np.array([[3, 3], [-1, 0]]))
    assert np.isnan(pairwise).all()
    assert np.isnan(strict).all()


def test_chains_whose_number_is_astronomic():
    # 400**5 chains a query, all of which descend but those of one pair of neighbours out of order.
    categories = np.repeat(np.arange(5), 400)[None]
    similarities = np.linspace(-0.9, 0.9, 2000)[None]
    assert ranking_accuracies(similarities, categories)[1][0] == 1.0
    swapped = similarities.copy()
    swapped[0, [399, 400]] = similarities[0, [400, 399]]
    pairwise, strict = ranking_accuracies(swapped, categories)
    assert strict[0] == pytest.approx(1 - 1 / 400**2, rel=1e-12)
    assert pairwise[0] == pytest.approx(1 - 1 / (10 * 400**2), rel=1e-12)


def knn(embeddings, paths, k):
    labels = make_labels([0] * len(paths), paths, [0] * len(paths))
    z = normalized(embeddings)
    n = len(paths)
    return knn_correct(cosine_similarities(z, z), np.arange(n), np.arange(n), labels.paths, k)


def test_neighbours_vote_once_for_each_prefix():
    # Directions in degrees: the neighbours of the first, from near to far, are 1, 2, 3.
    angles = np.radians([0, 10, 20, 30, 180])
    embeddings = np.column_stack([np.cos(angles), np.sin(angles)])
    # Level 1: 1 and 3 vote a, 2 votes b, once though it has two paths there. Level 2: one vote each, the nearest wins.
    paths = [[("a", "x")], [("a", "x")], [("b", "u"), ("b", "v")], [("a", "y")], [("c", "c")]]
    assert knn(embeddings, paths, 3)[0].tolist() == [True, True]
    paths[1] = [("a", "z")]
    assert knn(embeddings, paths, 3)[0].tolist() == [True, False]
    paths[2] = [("b", "u"), ("a", "y")]  # now y has two votes, and still is not x
    assert knn(embeddings, paths, 3)[0].tolist() == [True, False]
    paths[0] = [("a", "x"), ("a", "y")]  # any of the text's own will do
    assert knn(embeddings, paths, 3)[0].tolist() == [True, True]


def test_a_text_in_two_rows_is_one_neighbour():
    # The two rows at 10 degrees are one text; with the row at 20 degrees, b has two texts of three and wins.
    angles = np.radians([0, 10, 10, 20, 30, 180])
    z = np.column_stack([np.cos(angles), np.sin(angles)])
    labels = make_labels([0] * 6, [[("a",)], [("a",)], [("a",)], [("b",)], [("b",)], [("c",)]], [0] * 6)
    similarities, rows = cosine_similarities(z, z), np.arange(6)
    alone = knn_correct(similarities, rows, rows, labels.paths, 3)
    together = knn_correct(similarities, rows, rows, labels.paths, 3, np.array([0, 1, 1, 2, 3, 4]))
    assert alone[0, 0]
    assert not together[0, 0]


def test_neighbours_vote_on_the_direction():
    # The nearest two of the first text: 1, which agrees with it, and 2, which does not; the first met counts.
    angles = np.radians([0, 10, 25, 45, 180])
    embeddings = np.column_stack([np.cos(angles), np.sin(angles)])
    labels = make_labels([0] * 5, [[("a",)], [("b",)], [("a",)], [("b",), ("a",)], [("a",)]], [0, 0, 2, 2, 2])
    # 0: 1 2 -> 0 right; 1: 0 2 -> 0 right; 2: 1 3 -> 0 wrong; 3: 2 1 -> 2 right; 4: 3 2 -> 2 right.
    overall = held_out_metrics(embeddings, labels, k=2)["overall"]
    assert overall["direction_accuracy"] == pytest.approx(4 / 5)
    assert overall["direction_accuracy_chance"] == pytest.approx(3 / 5)
    # 3 votes: 0: 1 2 3 -> 2 wrong; 1: 0 2 3 -> 2 wrong; 2: 1 3 0 -> 0 wrong; 3: 2 1 0 -> 0 wrong; 4: 3 2 1 -> 2 right.
    assert held_out_metrics(embeddings, labels, k=3)["overall"]["direction_accuracy"] == pytest.approx(1 / 5)
    too_few = held_out_metrics(embeddings, labels, k=5)["overall"]
    assert too_few["direction_accuracy"] is too_few["direction_accuracy_chance"] is None


def test_one_direction_alone_is_no_achievement():
    embeddings, labels = case(8, n=30, n_theories=1)
    alone = replace(labels, directions=np.full(30, 2))
    result = held_out_metrics(embeddings, alone)
    assert result["overall"]["direction_accuracy"] == result["overall"]["direction_accuracy_chance"] == 1.0
    for block in ("distances", "distance_ratios"):
        for name, value in result[block]["overall"].items():
            assert value is None or "other" not in name


def test_chance_of_directions_is_that_of_the_same_texts():
    # Six texts of one theory, half and half; three of another are too few to vote and say nothing of chance either.
    labels = make_labels([0] * 6 + [1] * 3, [[("a",)]] * 9, [0, 2] * 3 + [1] * 3)
    result = held_out_metrics(np.random.default_rng(0).normal(size=(9, 4)), labels, k=5)
    assert result["theories"]["t1"]["direction_accuracy_chance"] is None
    assert result["overall"]["direction_accuracy_chance"] == 0.5


def test_distances_by_hand():
    # Two axes apart: 1. Along one: 0.
    embeddings = np.eye(3)[[0, 0, 1, 2]] + np.eye(3)[[0, 0, 1, 0]]
    labels = make_labels([0] * 4, [[("a", "x")], [("a", "x")], [("a", "x")], [("a", "y")]], [0, 0, 2, 0])
    diagonal = 1 - math.sqrt(0.5)
    result = held_out_metrics(embeddings, labels)
    found, ratios = result["distances"]["overall"], result["distance_ratios"]["overall"]
    assert found["shared_2_same_direction"] == 0.0
    assert found["shared_2_other_direction"] == 1.0
    assert found["shared_2"] == pytest.approx(2 / 3)
    assert found["shared_1_same_direction"] == pytest.approx(diagonal)
    assert found["shared_1_other_direction"] == 1.0
    assert found["shared_0"] is found["shared_0_same_direction"] is found["shared_0_other_direction"] is None
    assert ratios["shared_2_other_to_same_direction"] is None  # nothing to divide by
    assert ratios["shared_1_other_to_same_direction"] == pytest.approx(1 / diagonal)
    assert ratios["shared_1_to_next"] == pytest.approx((1 + 2 * diagonal) / 3 / (2 / 3))
    assert ratios["shared_1_to_next_same_direction"] is None
    assert ratios["shared_1_to_next_other_direction"] == 1.0
    assert ratios["shared_0_to_next"] is None


def test_ratios_pass_over_numbers_of_levels_that_no_pair_shares():
    # A theory without a hierarchy in a table of three levels: texts share none or all.
    labels = make_labels([0] * 4 + [1], [[("a",)], [("a",)], [("b",)], [("b",)], [("c", "d", "e")]], [0] * 5)
    embeddings = [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]
    diagonal = 1 - math.sqrt(0.5)
    ratios = held_out_metrics(embeddings, labels)["distance_ratios"]["overall"]
    # Across: 1 (0 to 2), diagonal (0 to 3), diagonal (1 to 2), 0 (1 to 3).
    assert ratios["shared_0_to_next"] == pytest.approx((1 + 2 * diagonal) / 4 / diagonal)
    assert ratios["shared_1_to_next"] is ratios["shared_2_to_next"] is None


def test_standard_errors_cover_the_truth():
    # Independent texts with a share of 0.7: nine of ten intervals of 1.645 standard errors hold it.
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        figure = mean_and_count((rng.random(80) < 0.7).astype(float))
        held += abs(figure.value - 0.7) < 1.645 * figure.standard_error
    assert 0.86 < held / 400 < 0.94
    assert mean_and_count(np.array([0.5])).standard_error is None
    assert mean_and_count(np.array([np.nan])) == (None, 0, None)


def test_neighbours_without_a_path_elect_nobody():
    z = np.eye(3)
    prefixes = np.array([[[0], [NONE]], [[NONE], [NONE]]])
    correct = knn_correct(cosine_similarities(z, z), np.arange(3), np.array([0, 1, 1]), prefixes, 2)
    assert not correct.any()


def test_too_many_neighbours_are_refused():
    with pytest.raises(ValueError, match="from 1 to the number of other texts"):
        knn(np.eye(3), [[("a",)]] * 3, 3)
    labels = make_labels([0] * 3, [[("a",)]] * 3, [0] * 3)
    assert held_out_metrics(np.eye(3), labels, k=3)["overall"]["knn_level_1"] is None
    assert held_out_metrics(np.eye(3), labels, k=2)["overall"]["knn_level_1"] == 1.0


def test_orthogonality_by_hand():
    labels = make_labels([0] * 4, [[("a",)], [("a",), ("b",)], [("b",)], [("c",)]], [0] * 4)
    z = normalized([[3.0, 0.0], [0.0, 2.0], [0.0, 1.0], [0.0, -1.0]])
    # a points to 45 degrees, b to 90, c opposite to b.
    assert orthogonality(z, labels.paths) == pytest.approx((2 * (1 - math.sqrt(0.5)) + 0) / 3)
    assert orthogonality(z[:1], labels.paths[:1]) is None
    # The vector of b cancels out: it has no direction.
    cancelled = normalized([[1.0, 0.0], [0.3, 0.1], [-0.3, -0.1], [0.0, 1.0]])
    only = make_labels([0] * 4, [[("a",)], [("b",)], [("b",)], [("c",)]], [0] * 4)
    assert orthogonality(cancelled, only.paths) == pytest.approx(1.0)


def test_zero_rows_are_similar_to_nothing():
    z = normalized([[0.0, 0.0], [0.0, 5.0]])
    np.testing.assert_array_equal(z, [[0, 0], [0, 1]])
    np.testing.assert_array_equal(cosine_similarities(z, z), [[0, 0], [0, 1]])


# ---- Retrieval across theories ----


@settings(deadline=None, max_examples=examples(40))
@given(st.lists(st.tuples(st.sampled_from([-0.5, 0.0, 0.25]), st.booleans()), min_size=1, max_size=6))
def test_average_precision_is_the_mean_over_all_orders_of_tied_texts(texts):
    similarities, relevant = np.array([s for s, _ in texts]), np.array([r for _, r in texts])
    found = average_precisions(similarities[None], relevant[None])
    if not relevant.any():
        assert np.isnan(found).all()
        return
    orders = [order for order in permutations(range(len(texts))) if (np.diff(similarities[list(order)]) <= 0).all()]
    wanted = np.mean([literal_average_precision(relevant[list(order)].tolist()) for order in orders])
    assert found[0] == pytest.approx(wanted, rel=1e-12)


def test_chance_precision_is_the_mean_over_all_orders():
    for n in (1, 2, 5, 6):
        for n_relevant in range(1, n + 1):
            flags = [1] * n_relevant + [0] * (n - n_relevant)
            wanted = np.mean([literal_average_precision(order) for order in permutations(flags)])
            assert chance_average_precision([n_relevant], n)[0] == pytest.approx(wanted, rel=1e-12)


@settings(deadline=None, max_examples=examples(40))
@given(seed=st.integers(0, 10**6))
def test_retrieval_equals_its_literal_definition(seed):
    _, labels = case(seed, n_theories=3)
    # No ties here: they are tested above.
    embeddings = np.random.default_rng(seed).normal(size=(len(labels), 4))
    theories, concepts = labels.theories, labels.concepts
    precisions, chances = [], []
    for i in range(len(labels)):
        others = [j for j in range(len(labels)) if theories[j] != theories[i] and concepts[j] >= 0]
        others.sort(key=lambda j: -cosine(embeddings[i], embeddings[j]))
        flags = [bool(concepts[j] == concepts[i]) for j in others]
        if concepts[i] >= 0 and any(flags):
            precisions.append(literal_average_precision(flags))
            chances.append(chance_average_precision([sum(flags)], len(flags))[0])
    precision, chance = map(mean_and_count, concept_retrieval(normalized(embeddings), theories, concepts[:, None]))
    assert precision.n == chance.n == len(precisions)
    assert close(precision.value, mean(precisions)[0])
    assert close(chance.value, mean(chances)[0])
    result = held_out_metrics(embeddings, labels)
    assert close(result["overall"]["anchor_retrieval"], precision.value)
    assert close(result["overall"]["anchor_retrieval_chance"], chance.value)
    assert result["anchor_queries"] == len(precisions)


def test_retrieval_looks_at_other_theories_only():
    labels = make_labels([0, 0, 1, 1, 1], [[("a",)]] * 5, [0] * 5, [7, 7, 7, 8, NONE])
    embeddings = [[1, 0], [1, 0.1], [1, 0.2], [1, 0.5], [1, 0]]
    # Rows 0 and 1 find 2 before 3; row 2 finds both of theory 0; row 3 has no partner and row 4 no id.
    precisions, _ = concept_retrieval(normalized(embeddings), labels.theories, labels.all_concepts)
    np.testing.assert_array_equal(precisions, [1.0, 1.0, 1.0, np.nan, np.nan])
    embeddings[3] = [1, 0.05]  # now nearer to rows 0 and 1 than their partner
    assert held_out_metrics(embeddings, labels)["overall"]["anchor_retrieval"] == pytest.approx((0.5 + 0.5 + 1) / 3)


def test_a_text_of_several_theories_is_found_once_and_by_all_its_concepts():
    # A free name that is care (7) in two theories and liberty (8) in a third: rows 0 to 2 and 3 to 5 are such texts.
    theories, texts = np.array([0, 1, 2] * 2 + [1, 2]), np.array([0, 0, 0, 1, 1, 1, 2, 3])
    concepts = np.array([[7], [7], [8]] * 2 + [[9], [8]])
    z = normalized([[1, 0]] * 3 + [[1, 0.3]] * 3 + [[1, 0.1], [1, 0.2]])
    precisions, chances = concept_retrieval(z, theories, concepts, texts)
    # Text 0 orders 2 (another concept), 3 and 1, each once; 2 is in theory 1 alone, 3 in theory 2 alone.
    np.testing.assert_allclose(precisions[:3], [(1 / 2 + 2 / 3) / 2, 1, 1 / 2])
    np.testing.assert_allclose(chances[2], chance_average_precision([1], [2])[0])
    assert np.isnan(precisions[6])  # nobody else has its concept
    labels = make_labels(theories.tolist(), [[("a",)]] * 8, [0] * 8)
    result = held_out_metrics(z, replace(labels, concept_sets=concepts), texts=texts)
    assert result["anchor_queries"] == 3
    wanted = np.mean([np.mean(precisions[texts == text]) for text in (0, 1, 3)])
    assert result["overall"]["anchor_retrieval"] == pytest.approx(wanted)


def test_equal_embeddings_find_as_much_as_chance():
    _, labels = case(5, n=60, n_theories=3)
    overall = held_out_metrics(np.ones((60, 4)), labels)["overall"]
    assert overall["anchor_retrieval"] == pytest.approx(overall["anchor_retrieval_chance"], rel=1e-12)


# ---- Known embeddings ----


def single_paths(seed, n, depth=3, n_theories=2):
    return case(seed, n=n, depth=depth, width=1, n_theories=n_theories)[1]


def test_perfect_embeddings_reach_one():
    depth = 3
    # Of each value (one path is short) more texts than neighbours are asked.
    values = [*product((0, 1), repeat=depth), (2,)]
    paths = [[value] for value in values for _ in range(24)]
    labels = make_labels([0, 1] * (len(paths) // 2), paths, np.arange(len(paths)) // 2 % 3)
    # One axis for each prefix at each level, and each direction: the cosine is linear in the label similarity.
    axes = [np.eye(len(labels.prefix_names))[labels.paths[:, 0, level]] for level in range(depth)]
    embeddings = np.hstack([*axes, math.sqrt(0.5) * np.eye(3)[labels.directions]])
    result = held_out_metrics(embeddings, labels)
    for figures in (result["overall"], *result["theories"].values()):
        assert figures["ranking_accuracy"] == 1.0
        assert figures["strict_accuracy"] == 1.0
        assert figures["similarity_correlation"] == pytest.approx(1.0, abs=1e-9)
        assert [figures[f"knn_level_{level + 1}"] for level in range(depth)] == [1.0] * depth
    assert result["overall"]["orthogonality"] < 1.0  # values share their parents' axes
    distances = result["distances"]["overall"]
    assert [distances[f"shared_{m}"] for m in range(depth)] == sorted(
        (distances[f"shared_{m}"] for m in range(depth)), reverse=True
    )
    assert held_out_metrics(axes[-1], labels)["overall"]["orthogonality"] == 1.0


def test_random_embeddings_reach_chance():
    labels = single_paths(1, 800, depth=2)
    embeddings = np.random.default_rng(1).normal(size=(800, 64))
    overall = held_out_metrics(embeddings, labels)["overall"]
    assert overall["ranking_accuracy"] == pytest.approx(0.5, abs=0.01)
    # Four categories (other level 1, level 1, path, path and direction): one order in 4! is right.
    assert overall["strict_accuracy"] == pytest.approx(1 / 24, abs=0.005)
    assert overall["similarity_correlation"] == pytest.approx(0.0, abs=0.01)
    assert overall["anchor_retrieval"] == pytest.approx(overall["anchor_retrieval_chance"], abs=0.01)
    assert overall["knn_level_1"] == pytest.approx(0.5, abs=0.06)


def test_equal_embeddings_tell_nothing():
    labels = single_paths(2, 50)
    # Equal but for their lengths, so that their cosines are 1 only up to rounding.
    rng = np.random.default_rng(2)
    embeddings = rng.normal(size=37) * rng.uniform(0.1, 10.0, (50, 1))
    overall = held_out_metrics(embeddings, labels)["overall"]
    assert overall["ranking_accuracy"] == 0.5
    assert overall["strict_accuracy"] == 0.0
    assert overall["similarity_correlation"] is None
    assert overall["orthogonality"] == pytest.approx(0.0, abs=1e-12)


def test_length_does_not_matter():
    embeddings, labels = case(11, n=20)
    scaled = embeddings * np.random.default_rng(0).uniform(0.1, 100.0, (20, 1))
    assert_same(held_out_metrics(scaled, labels), held_out_metrics(embeddings, labels))
    single = held_out_metrics(embeddings.astype(np.float32), labels)
    assert_same(single, held_out_metrics(embeddings, labels))


# ---- What must not matter ----


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        if isinstance(value, dict):
            assert_same(found[name], value)
        else:
            assert found[name] is None if value is None else found[name] == pytest.approx(value, abs=1e-10), name


@settings(deadline=None, max_examples=examples(30))
@given(seed=st.integers(0, 10**6), pairs=st.integers(1, 400))
def test_the_size_of_blocks_does_not_matter(seed, pairs):
    embeddings, labels = case(seed)
    whole = held_out_metrics(embeddings, labels, k=2)
    with mock.patch("valueflow.hives.metrics.similarity.BLOCK_PAIRS", pairs):
        assert_same(held_out_metrics(embeddings, labels, k=2), whole)


@settings(deadline=None, max_examples=examples(30))
@given(seed=st.integers(0, 10**6))
def test_the_order_of_texts_does_not_matter(seed):
    embeddings, labels = case(seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    shuffled = held_out_metrics(embeddings[order], labels.take(order), k=2)
    assert_same(shuffled, held_out_metrics(embeddings, labels, k=2))


def test_memory_does_not_hold_all_pairs(monkeypatch):
    monkeypatch.setattr("valueflow.hives.metrics.similarity.BLOCK_PAIRS", 1 << 14)
    n = 1500
    labels = single_paths(3, n, n_theories=1)
    embeddings = np.random.default_rng(3).normal(size=(n, 8))
    tracemalloc.start()
    held_out_metrics(embeddings, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * n * n / 4


# ---- Samples, and what cannot be measured ----


def test_large_theories_are_sampled_and_counted():
    embeddings, labels = case(21, n=60, n_theories=2)
    totals = np.bincount(labels.theories)
    assert totals.min() > 20
    result = held_out_metrics(embeddings, labels, max_rows=20, seed=4)
    for name, total in zip(labels.theory_names, totals, strict=True):
        assert (result["theories"][name]["n"], result["theories"][name]["n_total"]) == (20, total)
    assert result["anchor_queries"] <= 40
    assert result == held_out_metrics(embeddings, labels, max_rows=20, seed=4)
    assert result != held_out_metrics(embeddings, labels, max_rows=20, seed=5)
    assert result != held_out_metrics(embeddings, labels)
    assert held_out_metrics(embeddings, labels, max_rows=60) == held_out_metrics(embeddings, labels)


def test_a_theory_within_the_limit_is_not_touched_by_one_beyond_it():
    embeddings, labels = case(22, n=40, n_theories=2)
    rows = np.concatenate([np.flatnonzero(labels.theories == 0), np.flatnonzero(labels.theories == 1)[:7]])
    embeddings, labels = embeddings[rows], labels.take(rows)
    sampled, whole = held_out_metrics(embeddings, labels, max_rows=8), held_out_metrics(embeddings, labels)
    assert sampled["theories"]["t0"]["n"] == 8
    assert sampled["theories"]["t1"] == whole["theories"]["t1"]


def test_single_texts_and_none_at_all_have_no_metrics():
    labels = make_labels([0, 1], [[("a", "b")], [("c", "d")]], [0, 1])
    for rows in ([0, 1], [0], []):
        index = np.array(rows, dtype=np.int64)
        result = held_out_metrics(np.eye(2)[index], labels.take(index))
        assert set(result["overall"].values()) == {None}
        assert set(result["distances"]["overall"].values()) == {None}
        assert {name: own["n"] for name, own in result["theories"].items()} == {f"t{row}": 1 for row in rows}
        assert {"knn_level_2", "anchor_retrieval_chance"} < result["overall"].keys()
        json.dumps(result, allow_nan=False)


def test_faulty_embeddings_are_told():
    labels = make_labels([0] * 3, [[("a",)]] * 3, [0] * 3)
    embeddings = np.eye(3)
    embeddings[1, 2] = np.nan
    with pytest.raises(InputError, match="1 of 3 texts .the first is number 2."):
        held_out_metrics(embeddings, labels)
    with pytest.raises(ValueError, match="one row for each of 3 texts"):
        held_out_metrics(np.eye(2), labels)
    with pytest.raises(ValueError, match="at least 1"):
        held_out_metrics(np.eye(3), labels, max_rows=0)
