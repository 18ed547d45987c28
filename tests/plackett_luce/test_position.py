"""A judge's liking for the first place of a prompt, against the likelihood written out and simulated judges."""

import numpy as np
import pytest
from scipy.optimize import minimize

from valueflow.plackett_luce import fit_position_effect, simulate_rankings


def judged(seed, n, j, beta, liking):
    """Return places of anchors in the judge's order and which was shown first; none in one window of j + 1."""
    rng = np.random.default_rng(seed)
    places = rng.choice(np.linspace(-9, 9, 30), (n, j))
    first = np.zeros((n, j))
    shown = rng.integers(j + 1, size=n)
    first[np.flatnonzero(shown < j), shown[shown < j]] = 1
    order = simulate_rankings(beta * places + liking * first, 1.0, rng) - 1
    return np.take_along_axis(places, order, 1), np.take_along_axis(first, order, 1).astype(bool)


def literal_loss(parameters, places, first):
    beta, liking = parameters
    total = 0.5 * (liking / 5) ** 2
    for row, shown in zip(places, first, strict=True):
        logits = beta * row + liking * shown
        for stage in range(len(row) - 1):
            total -= logits[stage] - np.logaddexp.reduce(logits[stage:])
    return total


@pytest.mark.parametrize(("j", "liking"), [(2, 0.0), (3, 1.0), (5, -1.5)])
def test_the_liking_is_the_maximum_of_the_literal_likelihood(j, liking):
    places, first = judged(j, 80, j, 0.4, liking)
    effect = fit_position_effect(places, first)
    found = minimize(literal_loss, [0.3, 0.0], args=(places, first), method="BFGS")
    assert effect.logits == pytest.approx(found.x[1], abs=2e-3)
    h = 0.05
    curve = np.array(
        [
            [
                sum(
                    a * b * literal_loss(found.x + h * (a * np.eye(2)[p] + b * np.eye(2)[q]), places, first)
                    for a in (1, -1)
                    for b in (1, -1)
                )
                / (4 * h * h)
                for q in range(2)
            ]
            for p in range(2)
        ]
    )
    assert effect.standard_error == pytest.approx(np.sqrt(np.linalg.inv(curve)[1, 1]), rel=0.05)


@pytest.mark.parametrize("liking", [0.0, 1.0, 2.0])
def test_simulated_likings_are_found_without_bias_and_held_by_their_intervals(liking):
    effects = [fit_position_effect(*judged(seed, 300, 5, 0.6, liking)) for seed in range(100)]
    assert np.mean([effect.logits for effect in effects]) == pytest.approx(liking, abs=0.06)
    held = np.mean([abs(effect.logits - liking) < 1.645 * effect.standard_error for effect in effects])
    assert 0.81 <= held <= 0.98  # 100 judges: three standard errors about .9


def test_a_judge_that_always_answers_in_the_prompts_order_likes_the_first_place():
    rng = np.random.default_rng(1)
    places = rng.uniform(-9, 9, (60, 4))  # as shown, and as answered
    first = np.zeros((60, 4), dtype=bool)
    first[:48, 0] = True
    effect = fit_position_effect(places, first)
    assert effect.logits > 4
    assert effect.logits > 3 * effect.standard_error
    assert np.isfinite([effect.logits, effect.standard_error]).all()
    backwards = fit_position_effect(places[:, ::-1], first[:, ::-1])
    assert backwards.logits < -4


def test_where_no_anchor_was_ever_first_nothing_is_said():
    places = np.random.default_rng(0).uniform(-9, 9, (20, 3))
    assert fit_position_effect(places, np.zeros((20, 3), dtype=bool)) is None
    assert fit_position_effect(places[:, :1], np.ones((20, 1), dtype=bool)) is None


def test_anchors_of_one_place_tell_of_the_liking_alone():
    rng = np.random.default_rng(2)
    first = np.zeros((400, 2), dtype=bool)
    first[np.arange(400), (rng.random(400) > np.e / (1 + np.e)).astype(int)] = True  # a liking of 1
    for place in (0.0, 7.0):
        effect = fit_position_effect(np.full((400, 2), place), first)
        assert effect.logits == pytest.approx(1.0, abs=0.35)
        assert effect.standard_error == pytest.approx(0.11, abs=0.03)
