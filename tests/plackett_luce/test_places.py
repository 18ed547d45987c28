"""Places, slope and misreading of a judge, against integrals done by brute force and against simulated judges."""

import numpy as np
import pytest
from scipy.special import logsumexp

from valueflow.plackett_luce import fit_places, simulate_rankings


def judged(seed, n_anchors, n_windows, j, beta, sigma):
    """Return orders of anchors by a judge that sees them at places of its own, their ratings and these places."""
    rng = np.random.default_rng(seed)
    ratings = rng.permuted(np.linspace(-9, 9, n_anchors))
    places = ratings + sigma * rng.standard_normal(n_anchors)
    chosen = np.argsort(rng.random((n_windows, n_anchors)), axis=1)[:, :j]
    ranked = simulate_rankings(places[chosen], beta, rng)
    return np.take_along_axis(chosen, ranked - 1, axis=1), ratings, places


def literal_log_likelihood(x, orders):
    """Log-likelihood of orders at logits x, (..., A)."""
    total = 0.0
    for order, times in zip(*np.unique(orders, axis=0, return_counts=True), strict=True):
        for stage in range(len(order) - 1):
            total = total + times * (x[..., order[stage]] - logsumexp(x[..., order[stage:]], axis=-1))
    return total


def integrated_log_posterior(beta, sigma, orders, ratings, nodes=12):
    """Integrate the places out by Gauss-Hermite quadrature in each dimension, and add both priors."""
    z, weights = np.polynomial.hermite_e.hermegauss(nodes)
    a = len(ratings)
    grid = np.stack(np.meshgrid(*[z] * a, indexing="ij"), axis=-1)
    log_weights = sum(np.meshgrid(*[np.log(weights / weights.sum())] * a, indexing="ij"))
    value = logsumexp(literal_log_likelihood(beta * (ratings + sigma * grid), orders) + log_weights)
    return value - 0.5 * np.log(beta / 0.5) ** 2 - 0.5 * (sigma / 5) ** 2


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("n_anchors", [3, 4])
def test_slope_and_misreading_are_near_the_maximum_of_the_integral_over_places(seed, n_anchors):
    orders, ratings, _ = judged(seed, n_anchors, 24, 3, beta=0.3, sigma=3.0)
    fit = fit_places(orders, ratings)
    # Undoes the step from the most probable to the expected variance: at most three times as much.
    logs = np.log([fit.discrimination, fit.misreading_sd / np.sqrt(3)])

    def posterior(log_beta, log_sigma):
        return integrated_log_posterior(np.exp(log_beta), np.exp(log_sigma), orders, ratings)

    found = posterior(*logs)
    steps = (-0.8, -0.4, 0.0, 0.4, 0.8)
    around = [posterior(logs[0] + a, logs[1] + b) for a in steps for b in steps]
    # Laplace's method errs where few windows speak of a place: it is near the best, within a unit of log-density.
    assert found > max(around) - 0.7
    assert found > posterior(logs[0] - 1.5, logs[1]) + 1
    assert found > posterior(logs[0] + 1.5, logs[1]) + 1


@pytest.mark.parametrize(("beta", "sigma"), [(0.3, 2.0), (1.0, 0.0), (1.0, 1.5), (2.0, 2.5)])
def test_simulated_judges_are_recovered_on_average(beta, sigma):
    fits, errors, apart = [], [], []
    for seed in range(12):
        orders, ratings, places = judged(seed, 40, 300, 5, beta, sigma)
        fit = fit_places(orders, ratings)
        fits.append((fit.discrimination, fit.misreading_sd))
        errors.append(np.log(fit.discrimination / beta) / (fit.discrimination_se / fit.discrimination))
        apart.append(np.mean((fit.place - places) ** 2))
    slope, misreading = np.median(fits, axis=0)
    assert slope == pytest.approx(beta, rel=0.08)
    assert misreading == pytest.approx(sigma, abs=0.25)
    # The standard error says how far slopes lie from the truth.
    assert 0.6 < np.std(errors) < 1.4
    # Places are nearer to what the judge sees than the ratings are.
    assert np.mean(apart) < max(0.5 * sigma**2, 0.05)


def test_neither_the_order_of_windows_nor_the_numbers_of_anchors_matter():
    orders, ratings, _ = judged(5, 20, 80, 4, 0.8, 1.5)
    fit = fit_places(orders, ratings)
    rng = np.random.default_rng(0)
    numbers = rng.permutation(20) + 3  # with anchors that no window holds, before and among them
    renamed = np.full(30, 5.0)
    renamed[numbers] = ratings
    other = fit_places(numbers[orders[rng.permutation(80)]], renamed)
    assert other.discrimination == pytest.approx(fit.discrimination, rel=1e-4)
    assert other.misreading_sd == pytest.approx(fit.misreading_sd, rel=1e-3)
    np.testing.assert_allclose(other.place[numbers], fit.place, atol=1e-3)
    unseen = np.setdiff1d(np.arange(30), numbers)
    assert (other.place[unseen] == 5.0).all()


def test_many_anchors_take_the_way_without_a_whole_matrix_to_the_same_places():
    orders, ratings, places = judged(6, 410, 1500, 5, 1.0, 1.5)
    fit = fit_places(orders, ratings)
    assert fit.discrimination == pytest.approx(1.0, rel=0.15)
    assert fit.misreading_sd == pytest.approx(1.5, abs=0.3)
    assert np.mean((fit.place - places) ** 2) < 0.5 * np.mean((ratings - places) ** 2)


@pytest.mark.parametrize("n_anchors", [500, 1500])
def test_many_anchors_far_apart_in_few_windows_leave_the_slope_where_it_is(n_anchors):
    """Windows that span the scale, as bucket sampling draws them, each anchor in two of them."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        ratings = np.linspace(-9.5, 9.5, n_anchors)
        bins = np.array_split(np.arange(n_anchors), 5)
        chosen = np.stack([rng.choice(own, n_anchors * 2 // 5) for own in bins], axis=1)
        orders = np.take_along_axis(chosen, simulate_rankings(ratings[chosen], 1.0, rng) - 1, axis=1)
        fit = fit_places(orders, ratings)
        assert fit.discrimination == pytest.approx(1.0, rel=0.3)
        assert fit.misreading_sd < 1.0


def test_a_judge_that_never_errs_has_a_slope_and_a_judge_at_random_a_small_one():
    orders, ratings, _ = judged(7, 30, 200, 5, 1e4, 0.0)
    never = fit_places(orders, ratings)
    assert 1 < never.discrimination <= 10
    assert 0 < never.discrimination_se < never.discrimination * 2
    assert never.misreading_sd < 0.5
    orders, ratings, _ = judged(7, 30, 400, 5, 0.0, 0.0)
    assert fit_places(orders, ratings).discrimination < 0.05
    # What errs in the same way in each window is misread, not dull: its places are still told apart.
    orders, ratings, _ = judged(8, 30, 300, 5, 3.0, 3.0)
    constant = fit_places(orders, ratings)
    assert constant.misreading_sd > 2
    assert constant.discrimination > 1


@pytest.mark.parametrize(
    ("orders", "ratings"),
    [
        ([[0, 1]], [1.0, 2.0]),
        ([[1, 0]], [-10.0, 10.0]),
        ([[0, 1], [1, 0]], [3.0, -3.0]),
        ([[0, 1, 2]] * 500, [9.0, 9.0, 8.99]),
        ([[2, 1, 0]] * 500, [10.0, 0.0, -10.0]),
    ],
)
def test_next_to_nothing_to_learn_from_is_no_crash(orders, ratings):
    fit = fit_places(orders, ratings)
    assert 0.01 <= fit.discrimination <= 10
    assert np.isfinite([fit.discrimination_se, fit.misreading_sd, *fit.place]).all()
    assert np.abs(fit.place).max() <= 25


@pytest.mark.parametrize(
    ("orders", "ratings", "message"),
    [
        ([[0], [1]], [1.0, 2.0], r"orders must be integers of shape \(W, J\)"),
        ([[0.0, 1.0]], [1.0, 2.0], "orders must be integers"),
        ([[0, 2]], [1.0, 2.0], "anchors from 0 to 1"),
        ([[0, -1]], [1.0, 2.0], "anchors from 0 to 1"),
        ([[0, 1]], [1.0, np.nan], "ratings must be finite"),
        ([[0, 1]], [1.0, 1.0], "two anchors of different ratings"),
        (np.empty((0, 2), dtype=int), [1.0, 2.0], "two anchors of different ratings"),
    ],
)
def test_wrong_input_is_told(orders, ratings, message):
    with pytest.raises(ValueError, match=message) as caught:
        fit_places(orders, ratings)
    assert "\n" not in str(caught.value)
