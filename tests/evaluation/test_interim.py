"""Posteriors between rounds against the model's definition."""

import numpy as np
import pytest

from tests.plackett_luce.test_adaptive import log_chance
from valueflow.evaluation.interim import UTILITIES, grid_posterior, interim
from valueflow.judge import RankedWindows, Windows
from valueflow.plackett_luce import simulate_rankings
from valueflow.vidb import Anchors


@pytest.mark.parametrize("lapse_rates", [(0.0, 0.0), (0.2, 0.0)])
def test_posteriors_are_the_definition_s_for_uneven_windows_of_two_judges(lapse_rates: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    places, judges = rng.uniform(-9, 9, (5, 3)), np.array([0, 1, 0, 1, 0])
    responses, slopes = np.array([2, 0, 2, 2, 0]), np.array([0.4, 1.7])
    orders = simulate_rankings(np.column_stack([np.zeros(5), places]), slopes[judges], rng)
    found = grid_posterior(orders, places, responses, 3, judges, slopes, np.array(lapse_rates))
    for response in range(3):
        density = np.exp(-0.5 * 1e-3 * UTILITIES**2)
        for window in np.flatnonzero(responses == response):
            order, beta = tuple((orders[window] - 1).tolist()), slopes[judges[window]]
            chance = np.exp([log_chance(order, [u, *places[window]], beta) for u in UTILITIES.tolist()])
            rate = lapse_rates[judges[window]]
            density = density * ((1 - rate) * chance + rate / 24)
        # The likelihood's nodes are float32, the ends of the grid have weights of their own.
        inner = slice(3, -3)
        np.testing.assert_allclose(
            found[response, inner] / found[response, inner].sum(), density[inner] / density[inner].sum(), atol=1e-6
        )


def test_a_judge_that_misreads_an_anchor_is_seen_to_and_others_are_where_they_are_rated() -> None:
    rng = np.random.default_rng(1)
    ratings = np.linspace(-9, 9, 19)
    anchors = Anchors("t", "v", np.arange(19).astype(str).astype(object), ratings)
    seen = ratings.copy()
    seen[5] += 6
    drawn = np.array([rng.permutation(18)[:4] for _ in range(400)])  # never the last anchor
    windows = Windows(
        responses=np.arange(400) // 4,
        anchors=drawn,
        prompt_order=np.tile(np.arange(1, 6), (400, 1)),
        response_texts=np.full(100, "text", dtype=object),
        anchor_set=anchors,
    )
    truth = rng.uniform(-8, 8, 100)
    items = np.column_stack([truth[windows.responses], seen[drawn]])
    ranked = RankedWindows.of_panel({"a": windows.ranked(simulate_rankings(items, 1.0, rng))}, {})
    known = interim(ranked, np.array([7, 3]), anchors)
    assert known.places.shape == (1, 19)
    assert known.places[0, 5] == pytest.approx(ratings[5] + 6, abs=1.0)
    assert known.places[0, 18] == ratings[18]
    assert known.discriminations[0] == pytest.approx(1.0, rel=0.2)
    assert known.misreading > 0.5
    # In the order asked for.
    means = known.posterior @ UTILITIES
    assert np.abs(means - truth[[7, 3]]).max() < 3 * known.sd.max()
    np.testing.assert_allclose(known.posterior.sum(axis=1), 1)
