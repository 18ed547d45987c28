"""Prediction-powered means against the published formula and in simulation."""

import numpy as np
import pytest

from valueflow.comparison.prediction_powered import prediction_powered_mean


def published(rating: np.ndarray, rated_score: np.ndarray, other_score: np.ndarray) -> tuple[float, float, float]:
    """Mean, standard error and lambda of PPI++ for a mean, responses independent."""
    n, more = len(rating), len(other_score)
    every = np.concatenate([rated_score - rated_score.mean(), other_score - other_score.mean()])
    covariance = np.mean((rating - rating.mean()) * (rated_score - rated_score.mean()))
    power = covariance / ((1 + n / more) * np.mean(every**2))
    mean = power * other_score.mean() + np.mean(rating - power * rated_score)
    variance = np.var(rating - power * rated_score) / n + power**2 * np.var(other_score) / more
    return mean, np.sqrt(variance), power


def test_independent_responses_give_the_published_formula() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(2, 3, 4000)
    score = 0.6 * truth + rng.normal(0, 1, 4000) - 1
    rating = np.where(np.arange(4000) < 800, truth + rng.normal(0, 1, 4000), np.nan)
    found = prediction_powered_mean(score, rating, np.arange(4000))
    mean, se, power = published(rating[:800], score[:800], score[800:])
    assert found.mean == pytest.approx(mean, abs=0.005)
    assert found.se == pytest.approx(se, rel=0.01)
    assert found.power == pytest.approx(power, rel=0.05)
    assert found.se < 0.7 * np.nanstd(rating) / np.sqrt(800)
    assert (found.rated, found.queries) == (800, 800)


def test_with_the_same_lambda_the_mean_is_the_published_one() -> None:
    rng = np.random.default_rng(1)
    score, rating = rng.normal(0, 2, 60), rng.normal(0, 2, 60)
    rating[20:] = np.nan
    rating[:20] += score[:20]
    found = prediction_powered_mean(score, rating, np.arange(60))
    expected = found.power * score[20:].mean() + np.mean(rating[:20] - found.power * score[:20])
    assert found.mean == pytest.approx(expected)
    assert found.se**2 == pytest.approx(60 / 59 * (found.influence**2).sum())


@pytest.mark.parametrize("case", ["useless", "all rated", "no score"])
def test_without_useful_scores_it_is_the_mean_of_the_ratings(case: str) -> None:
    rng = np.random.default_rng(2)
    rating = np.where(np.arange(50) < 25, rng.normal(1, 2, 50), np.nan)
    score = -rating if case == "useless" else rng.normal(0, 1, 50)
    score[25:] = rng.normal(0, 1, 25)
    if case == "all rated":
        rating = rng.normal(1, 2, 50)
    if case == "no score":
        score[:] = np.nan
    found = prediction_powered_mean(score, rating, np.arange(50))
    known = rating[~np.isnan(rating)]
    assert found.power == 0
    assert found.mean == pytest.approx(known.mean())
    assert found.se == pytest.approx(known.std(ddof=1) / np.sqrt(len(known)))


def test_the_interval_holds_the_truth_with_few_clustered_ratings() -> None:
    rng = np.random.default_rng(3)
    held, widths, plain_widths = [], [], []
    for _ in range(1500):
        cluster = np.repeat(np.arange(60), 3)
        truth = rng.normal(3, 1, 60)[cluster] + rng.normal(0, 1, 180)
        score = 0.5 * truth + rng.normal(0, 0.4, 180)  # shrunken: on its own it is far off
        is_rated = np.isin(cluster, rng.choice(60, 15, replace=False))
        rating = np.where(is_rated, truth + rng.normal(0, 0.5, 180), np.nan)
        found = prediction_powered_mean(score, rating, cluster)
        held.append(found.low <= 3 <= found.high)
        widths.append(found.se)
        alone = prediction_powered_mean(np.full(180, np.nan), rating, cluster)
        plain_widths.append(alone.se)
    assert 0.92 <= np.mean(held) <= 0.98
    assert np.mean(widths) < 0.85 * np.mean(plain_widths)


def test_ratings_that_do_not_vary_do_not_tell_how_far_the_mean_would() -> None:
    scores, ratings = np.arange(20.0), np.where(np.arange(20) < 12, 5.0, np.nan)
    found = prediction_powered_mean(scores, ratings, np.arange(20))
    assert found.mean == 5
    assert np.isnan([found.se, found.low, found.high]).all()
