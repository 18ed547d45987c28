"""Standard errors of metrics: samples of texts against metrics of tables in which the drawn texts really stand."""

import numpy as np
import pytest

from tests.hives.labeled import case, make_labels
from valueflow.hives.metrics import draw_weights, held_out_metrics, held_out_samples

BOTH_SIDES = ("ranking_accuracy", "strict_accuracy", "similarity_correlation", "orthogonality")


def smooth_case(seed: int, n: int = 40):
    """Random labels of two theories, a third of the texts in two rows; embeddings without ties."""
    _, labels = case(seed, n=n, n_theories=2, depth=3)
    rng = np.random.default_rng(seed)
    texts = rng.integers(0, 2 * n // 3, n)
    return rng.normal(size=(n, 6)), labels, texts


def test_weights_draw_texts_with_replacement() -> None:
    texts = np.array([5, 5, 0, 9, 0, 7])
    weights = draw_weights(texts, 3000, 1)
    assert weights.shape == (3000, 6)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    np.testing.assert_array_equal(weights[:, 2], weights[:, 4])
    distinct = weights[:, [0, 2, 3, 5]]
    assert (distinct.sum(axis=1) == 4).all()
    # Each count is binomial(4, 1/4): mean 1, variance 3/4.
    np.testing.assert_allclose(distinct.mean(axis=0), 1.0, atol=0.06)
    np.testing.assert_allclose(distinct.var(axis=0), 0.75, atol=0.08)
    np.testing.assert_array_equal(draw_weights(texts, 3000, 1), weights)


@pytest.mark.parametrize("seed", range(4))
def test_samples_are_metrics_of_the_texts_that_were_drawn(seed: int) -> None:
    embeddings, labels, texts = smooth_case(seed)
    metrics, samples = held_out_samples(embeddings, labels, texts=texts, replicates=12, seed=seed)
    weights = draw_weights(texts, 12, seed).astype(int)
    for number, drawn in enumerate(weights):
        rows = np.repeat(np.arange(len(texts)), drawn)
        # A text that is drawn twice stands there twice, and is not compared with itself.
        literal = held_out_metrics(embeddings[rows], labels.take(rows), texts=texts[rows])["overall"]
        for name in BOTH_SIDES:
            if literal[name] is not None:
                assert samples[name][number] == pytest.approx(literal[name], abs=1e-5), (number, name)
    for name, values in samples.items():
        error = metrics["standard_errors"]["overall"][name]
        assert error == pytest.approx(np.nanstd(values, ddof=1), rel=1e-9), name


def test_all_rows_are_told_to_the_progress_bar() -> None:
    embeddings, labels, texts = smooth_case(1)
    told: list[int] = []
    how = {"texts": texts, "replicates": 5, "max_rows": 20, "progress": lambda done, failed: told.append(done)}
    held_out_samples(embeddings, labels, **how)
    assert sum(told) == len(labels)
    assert len(told) >= len(set(labels.theories))


def test_distances_have_errors_of_the_drawn_texts() -> None:
    embeddings, labels, texts = smooth_case(9, n=60)
    one = labels.take(np.flatnonzero(labels.theories == 0))
    rows = np.flatnonzero(labels.theories == 0)
    embeddings, texts = embeddings[rows], texts[rows]
    result = held_out_metrics(embeddings, one, texts=texts, replicates=60, seed=3)
    values = []
    for drawn in draw_weights(texts, 60, 3).astype(int):
        chosen = np.repeat(np.arange(len(texts)), drawn)
        values.append(held_out_metrics(embeddings[chosen], one.take(chosen), texts=texts[chosen]))
    for block in ("distances", "distance_ratios"):
        for name, error in result["standard_errors"][block]["overall"].items():
            literal = np.array([value[block]["overall"][name] for value in values], dtype=float)
            if error is not None and np.isfinite(literal).all():
                assert error == pytest.approx(literal.std(ddof=1), rel=1e-3), name


@pytest.mark.slow
def test_the_error_is_the_spread_over_new_texts() -> None:
    # Two values around two centers; each table has other texts, each text is in two rows of other directions.
    rng = np.random.default_rng(0)
    figures, errors = [], []
    for _ in range(60):
        value = rng.integers(0, 2, 40)
        embeddings = np.repeat(np.eye(4)[value] + rng.normal(scale=0.8, size=(40, 4)), 2, axis=0)
        labels = make_labels([0] * 80, [[(f"v{v}",)] for v in np.repeat(value, 2)], np.tile([0, 1], 40))
        result = held_out_metrics(embeddings, labels, texts=np.repeat(np.arange(40), 2), replicates=100)
        figures.append([result["overall"][name] for name in ("ranking_accuracy", "similarity_correlation")])
        errors.append([result["standard_errors"]["overall"][n] for n in ("ranking_accuracy", "similarity_correlation")])
    for spread, error in zip(np.std(figures, axis=0, ddof=1), np.mean(errors, axis=0), strict=True):
        assert 0.7 < error / spread < 1.4


@pytest.mark.slow
def test_the_error_of_a_difference_is_that_of_correlated_encoders() -> None:
    # Two encoders that find the same texts hard: their figures rise and fall together, and the difference hardly does.
    rng = np.random.default_rng(0)
    names = ("ranking_accuracy", "similarity_correlation")
    differences, errors, unpaired = [], [], []
    for _ in range(60):
        value = rng.integers(0, 2, 60)
        shared = np.eye(4)[value] + rng.normal(scale=0.8, size=(60, 4))
        labels = make_labels([0] * 60, [[(f"v{v}",)] for v in value], [0] * 60)
        both = [shared + rng.normal(scale=scale, size=(60, 4)) for scale in (0.15, 0.3)]
        (first, drawn), (second, others) = (held_out_samples(own, labels, replicates=100) for own in both)
        differences.append([second["overall"][name] - first["overall"][name] for name in names])
        errors.append([np.std(others[name] - drawn[name], ddof=1) for name in names])
        unpaired.append([np.hypot(np.std(others[name], ddof=1), np.std(drawn[name], ddof=1)) for name in names])
    spread, error = np.std(differences, axis=0, ddof=1), np.mean(errors, axis=0)
    assert (error / spread > 0.7).all()
    assert (error / spread < 1.4).all()
    # As if the encoders were measured on different texts, it would be far too large.
    assert (np.mean(unpaired, axis=0) / spread > 1.5).all()


def test_rows_of_one_text_are_not_compared() -> None:
    # The copy in another direction is no neighbor, no pair and not what a query looks for.
    labels = make_labels(
        [0, 0, 0, 1, 1], [[("a",)], [("b",)], [("a",)], [("a",)], [("b",)]], [0, 1, 0, 0, 0], [1, 1, 1, 1, 2]
    )
    embeddings = [[1, 0], [1, 0], [0.9, 0.5], [1, 0], [0, 1]]
    result = held_out_metrics(embeddings, labels, texts=np.array([0, 0, 1, 0, 2]), k=1)
    # Row 0 and 1 have row 2 alone for neighbor: right for row 0.
    assert result["theories"]["t0"]["knn_level_1"] == pytest.approx(2 / 3)
    # Rows 0 and 1 find no other text of theory 1 with their concept; row 2 finds row 3 before row 4, row 3 finds row 2.
    assert result["anchor_queries"] == 2
    assert result["overall"]["anchor_retrieval"] == 1.0


def test_without_samples_there_are_no_errors() -> None:
    embeddings, labels, texts = smooth_case(1)
    result = held_out_metrics(embeddings, labels, texts=texts)
    assert result["standard_errors"]["overall"] == {}
