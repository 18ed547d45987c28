"""Posteriors on a grid against the model's definition, and the discrimination under its prior."""

import numpy as np
import pytest

from tests.plackett_luce.test_adaptive import GRID, log_chance
from valueflow.plackett_luce import fit_discrimination_with_prior, grid_posterior, simulate_rankings


def test_posteriors_are_the_definition_s_for_uneven_windows_of_two_judges() -> None:
    rng = np.random.default_rng(0)
    anchors = rng.uniform(-9, 9, (5, 3))
    responses = np.array([2, 0, 2, 2, 0])
    slopes = np.array([0.4, 1.7, 0.4, 1.7, 0.4])
    orders = simulate_rankings(np.column_stack([np.zeros(5), anchors]), slopes, rng)
    found = grid_posterior(orders, anchors, responses, 3, GRID, discrimination=slopes, prior_precision=0.01)
    for response in range(3):
        density = np.exp(-0.5 * 0.01 * GRID**2)
        for window in np.flatnonzero(responses == response):
            order = tuple((orders[window] - 1).tolist())
            chances = [log_chance(order, [u, *anchors[window]], slopes[window]) for u in GRID.tolist()]
            density = density * np.exp(chances)
        np.testing.assert_allclose(found[response], density / density.sum(), atol=1e-12)


def test_the_steepest_judge_gives_finite_posteriors() -> None:
    found = grid_posterior([[2, 1, 3]] * 4, [[10.0, -10.0]] * 4, [0] * 4, 1, GRID, discrimination=20.0)
    assert np.isfinite(found).all()
    assert found.sum() == pytest.approx(1)


def test_discrimination_is_the_maximum_of_likelihood_times_prior() -> None:
    rng = np.random.default_rng(1)
    anchors = rng.uniform(-9, 9, (6, 3))
    orders = simulate_rankings(np.column_stack([np.zeros(6), anchors]), 0.6, rng)
    betas = np.exp(np.linspace(np.log(0.01), np.log(20), 4001))
    log_density = [
        sum(
            log_chance(tuple(order[order != 1] - 2), row.tolist(), beta)
            for order, row in zip(orders, anchors, strict=True)
        )
        - 0.5 * np.log(beta / 0.5) ** 2
        for beta in betas
    ]
    assert fit_discrimination_with_prior(orders, anchors) == pytest.approx(betas[np.argmax(log_density)], rel=2e-3)


def test_one_perfect_window_does_not_make_a_judge_infallible() -> None:
    assert 0.5 < fit_discrimination_with_prior([[2, 1, 3, 4]], [[8.0, 0.0, -8.0]]) < 3
