"""The mean of a job and its interval, against the formulas written out."""

import numpy as np
import pytest
from scipy.stats import t

from valueflow.evaluation.mean import AnchorLine, estimate_mean, mean_of_scores
from valueflow.plackett_luce import Grid, fit_population

GRID = Grid.over((-10.0, 10.0), 0.2)
NO_LINE = AnchorLine(0, float("nan"), 0.0, 0.0)


def bells(centers: np.ndarray, sd: float = 1.5) -> np.ndarray:
    return np.exp(-0.5 * ((GRID.nodes - np.asarray(centers)[:, None]) / sd) ** 2).astype(np.float32)


def test_the_standard_error_adds_queries_beta_and_anchors() -> None:
    rng = np.random.default_rng(1)
    queries = np.repeat(np.arange(12), 3)
    likelihoods = bells(2 + 2 * rng.standard_normal(12)[queries] + rng.standard_normal(36))
    line = AnchorLine(30, -1.0, 900.0, 2.0)
    found = estimate_mean(likelihoods, GRID, np.ones(36, dtype=bool), queries, line, [-0.2])
    fit = fit_population(likelihoods, GRID)
    sums = [fit.influence[queries == query].sum() for query in range(12)]
    responses = 12 / 11 * sum(s * s for s in sums)
    anchors = 4 * (1 / 30 + (fit.mean + 1) ** 2 / 900)
    assert found.mean == fit.mean
    assert (found.clusters, found.beta_shift, found.beta_se) == (12, -0.2, 0.2)
    assert found.responses_se == pytest.approx(np.sqrt(responses))
    assert found.anchors_se == pytest.approx(np.sqrt(anchors))
    assert found.se == pytest.approx(np.sqrt(responses + 0.04 + anchors))
    half = t.isf(0.025, 11) * found.se
    assert (found.low, found.high) == pytest.approx((fit.mean - half, fit.mean + half))
    panel = estimate_mean(likelihoods, GRID, np.ones(36, dtype=bool), queries, line, [-0.3, 0.4])
    assert panel.beta_shift == pytest.approx(0.5)


def test_responses_without_a_score_count_for_nothing() -> None:
    likelihoods = bells(np.linspace(-3, 5, 20))
    scored = np.arange(20) % 4 > 0
    likelihoods[~scored] = 1.0
    found = estimate_mean(likelihoods, GRID, scored, np.arange(20), NO_LINE, [0.0])
    alone = estimate_mean(likelihoods[scored], GRID, np.ones(15, dtype=bool), np.arange(15), NO_LINE, [0.0])
    assert (found.mean, found.se, found.clusters) == pytest.approx((alone.mean, alone.se, 15))
    assert np.isnan(found.influence[~scored]).all()
    np.testing.assert_allclose(found.influence[scored], alone.influence)
    nothing = estimate_mean(likelihoods, GRID, np.zeros(20, dtype=bool), np.arange(20), NO_LINE, [])
    assert np.isnan([nothing.mean, nothing.se, nothing.low, nothing.high]).all()
    assert nothing.clusters == 0


@pytest.mark.parametrize("end", [-1, 1])
def test_the_interval_ends_with_the_scale(end: int) -> None:
    found = estimate_mean(bells(end * np.linspace(8, 9.9, 6), 2), GRID, np.ones(6, bool), np.arange(6), NO_LINE, [0.5])
    ends = sorted((end * found.low, end * found.high))
    assert ends[1] == 10.0
    assert ends[0] < end * found.mean < 10.0


def test_one_response_and_one_query_have_a_mean_without_an_interval() -> None:
    for n in (1, 5):
        found = estimate_mean(bells(np.full(n, 3.0)), GRID, np.ones(n, bool), np.zeros(n, int), NO_LINE, [0.1])
        assert found.mean == pytest.approx(3.0, abs=0.1)
        assert found.clusters == 1
        assert np.isnan([found.se, found.low, found.high, found.responses_se]).all()


def test_where_all_responses_beat_all_anchors_the_interval_reaches_down_to_them() -> None:
    above = np.tile(1 / (1 + np.exp(-3 * (GRID.nodes - 4))) ** 5, (50, 1)).astype(np.float32)
    found = estimate_mean(above, GRID, np.ones(50, bool), np.arange(50), NO_LINE, [0.0])
    assert found.mean > 9
    assert 4.5 < found.low < 7
    assert found.high == 10.0
    # Five answers to each query are not five times as much.
    repeated = estimate_mean(above, GRID, np.ones(50, bool), np.repeat(np.arange(10), 5), NO_LINE, [0.0])
    assert repeated.low < found.low
    flat = estimate_mean(np.ones_like(above), GRID, np.ones(50, bool), np.arange(50), NO_LINE, [0.0])
    assert (flat.low, flat.high) == (-10.0, 10.0)


def test_responses_that_are_told_apart_have_no_wider_interval_for_it() -> None:
    likelihoods = bells(np.linspace(-6, 6, 40), 0.8)
    found = estimate_mean(likelihoods, GRID, np.ones(40, bool), np.arange(40), NO_LINE, [0.0])
    influence = fit_population(likelihoods, GRID).influence
    assert found.se == pytest.approx(np.sqrt(40 / 39 * (influence**2).sum()))


def test_the_plain_mean_has_the_interval_of_students_t_over_queries() -> None:
    scores = np.array([1.0, 2.0, 4.0, np.nan, 7.0])
    scored = ~np.isnan(scores)
    found = mean_of_scores(scores, scored, np.arange(5))
    known = scores[scored]
    half = t.isf(0.025, 3) * known.std(ddof=1) / 2
    assert (found.mean, found.low, found.high) == pytest.approx((3.5, 3.5 - half, min(3.5 + half, 10)))
    assert np.isnan(mean_of_scores(scores * np.nan, scored & False, np.arange(5)).mean)


def test_anchors_of_one_rating_say_nothing_of_a_slope() -> None:
    assert AnchorLine(4, 3.0, 0.0, 2.0).variance_at(8.0) == pytest.approx(1.0)
    assert AnchorLine(4, 3.0, 10.0, 0.0).variance_at(8.0) == 0.0
    assert NO_LINE.variance_at(8.0) == 0.0
