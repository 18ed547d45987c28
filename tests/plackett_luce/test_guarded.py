import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

from valueflow.plackett_luce import fit_discrimination, fit_utilities, summarize_posterior, window_guarded

PARITY = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "parity"


def literal_score(rankings, anchors, all_low, all_high):
    """Apply the rule step by step to one response."""

    def gradient(u):
        total = -1e-3 * u
        for ranking, known in zip(rankings, anchors, strict=True):
            strength = np.exp([u, *known])
            for stage in range(len(ranking)):
                left = ranking[stage:]
                if 1 in left:
                    total += (left[0] == 1) - strength[0] / sum(strength[item - 1] for item in left)
        return total

    low, high = -20.0, 20.0
    u = 0.0
    while abs(gradient(u)) >= 1e-6:
        low, high = (u, high) if gradient(u) > 0 else (low, u)
        u = (low + high) / 2
    assert u == pytest.approx(brentq(gradient, -20, 20, xtol=1e-12), abs=1.1e-3)
    u = min(max(u, all_low), all_high)
    low, high = anchors.min(), anchors.max()
    if all(ranking[-1] == 1 for ranking in rankings):
        u = np.nextafter(low, -np.inf)
    elif all(ranking[0] == 1 for ranking in rankings):
        u = np.nextafter(high, np.inf)
    else:
        u = min(max(u, low), high)
        if abs(u - low) <= 1e-12:
            u = low + 1e-6
        elif abs(u - high) <= 1e-12:
            u = high - 1e-6
    return min(max(u, -10.0), 10.0)


@pytest.mark.parametrize("k", [2, 4, 6])
def test_the_rule_step_by_step(k):
    rng = np.random.default_rng(k)
    n, m = 40, 3
    anchors = rng.uniform(-10, 10, (n * m, k - 1)).round(2)
    rankings = np.argsort(rng.random((n * m, k)), axis=1) + 1
    # Every kind: below all, above all, clamped at an end.
    for response, place in ((0, k - 1), (1, 0)):
        for row in range(response * m, response * m + m):
            others = rankings[row][rankings[row] != 1]
            rankings[row] = np.insert(others, place, 1)
    index = np.repeat(np.arange(n), m)
    found = window_guarded(rankings, anchors, index, n)
    for response in range(n):
        own = index == response
        expected = literal_score(rankings[own].tolist(), anchors[own], anchors.min(), anchors.max())
        assert found[response] == pytest.approx(expected, abs=1e-9)
    first, second = anchors[:m], anchors[m : 2 * m]
    assert found[0] == np.nextafter(first.min(), -np.inf)
    assert found[1] == np.nextafter(second.max(), np.inf)


def test_ends_of_the_scale_hold():
    scores = window_guarded([[1, 2, 3], [2, 3, 1]], [[10.0, 5.0], [-10.0, 5.0]], [0, 1], 3)
    assert scores[0] == 10.0
    assert scores[1] == -10.0
    assert np.isnan(scores[2])


def test_clamped_scores_move_inside():
    # The response beats the only two anchors often enough that its root lies above both.
    rankings = [[1, 2, 3]] * 9 + [[2, 1, 3]]
    scores = window_guarded(rankings, [[1.0, 0.0]] * 10, [0] * 10, 1)
    assert scores[0] == 1.0 - 1e-6


@pytest.fixture(scope="module")
def parity():
    if not PARITY.is_dir():
        pytest.skip("parity data are not here")
    table = pd.read_csv(PARITY / "rankings.csv")
    rankings = np.array([json.loads(text) for text in table["ranking"]])
    anchors = table[[f"db_score_{j}" for j in range(1, 6)]].to_numpy(float)
    index = table["row_idx"].to_numpy()
    expected = pd.read_csv(PARITY / "expected_scores.csv")["benevolence_score"].to_numpy()
    truth = pd.read_csv(PARITY / "true_utilities.csv")["truth"].to_numpy()
    return rankings, anchors, index, expected, truth


def test_published_scores_are_met(parity):
    rankings, anchors, index, expected, _ = parity
    np.testing.assert_allclose(window_guarded(rankings, anchors, index, expected.size), expected, rtol=0, atol=1e-6)


def test_posterior_mean_is_nearer_the_truth_than_the_published_rule(parity):
    rankings, anchors, index, expected, truth = parity
    slope = fit_discrimination(rankings, anchors).discrimination
    posterior = summarize_posterior(rankings, anchors, index, truth.size, discrimination=slope)
    fit = fit_utilities(rankings, anchors, index, truth.size, discrimination=slope)
    assert fit.converged.all()

    def rmse(scores):
        return np.sqrt(np.mean((scores - truth) ** 2))

    assert rmse(posterior.mean) < rmse(expected)
    assert 0.85 < np.mean((posterior.low <= truth) & (truth <= posterior.high)) < 0.95
