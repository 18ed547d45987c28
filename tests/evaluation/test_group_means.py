"""Means of groups whose texts were judged together, against scoring each group by itself."""

from dataclasses import replace

import numpy as np
import pytest

from valueflow.evaluation import Sayings, build_windows, fit_judges, means_by_group, score_windows
from valueflow.judge import RankedWindows
from valueflow.plackett_luce import simulate_rankings
from valueflow.vidb import Anchors, BucketSampling

N = 30
TEXTS = np.array([f"text {number}" for number in range(N)], dtype=object)


def ranked(seed: int = 0) -> RankedWindows:
    rng = np.random.default_rng(seed)
    ratings = np.linspace(-9.5, 9.5, 40)
    anchors = Anchors("pvq", "power", np.array([f"a{place}" for place in range(40)], dtype=object), ratings)
    keys = rng.integers(0, 2**63, N).astype(np.uint64)
    windows = build_windows(keys, TEXTS, anchors, BucketSampling(), k=6, m=3, response_position="random")
    truths = rng.normal(2, 3, N)
    places = np.column_stack([truths[windows.responses], ratings[windows.anchors]])
    return windows.ranked(simulate_rankings(places, 1.0, rng))


def test_a_group_s_mean_is_that_of_its_texts_scored_alone() -> None:
    windows = ranked()
    fits = fit_judges(windows)
    groups = np.arange(N) % 3
    clusters = np.arange(N) // 6
    found = means_by_group(windows, N, fits, Sayings(np.arange(N), groups, 4, clusters))
    for group in range(3):
        rows = np.flatnonzero(groups == group)
        place = np.full(N, -1)
        place[rows] = np.arange(len(rows))
        kept = np.flatnonzero(place[windows.responses] >= 0)
        own = windows[kept].with_responses(place[windows.responses[kept]])
        alone = score_windows(
            own,
            len(rows),
            estimator="map",
            point="mean",
            solver="newton",
            max_iter=50,
            learning_rate=0.1,
            clusters=clusters[rows],
            fits=fits,
        ).mean
        mean = found.means[group]
        assert (mean.mean, mean.se, mean.low, mean.high) == pytest.approx(
            (alone.mean, alone.se, alone.low, alone.high), abs=2e-3
        )
        assert found.rows[np.searchsorted(groups[found.rows], group) :][: len(rows)].tolist() == rows.tolist()
    assert np.isnan(found.means[3].mean)


def test_a_text_that_two_groups_said_counts_in_both() -> None:
    windows = ranked()
    fits = fit_judges(windows)
    texts, groups = np.tile(np.arange(N), 2), np.repeat([0, 1], N)
    one, other = means_by_group(windows, N, fits, Sayings(texts, groups, 2, texts)).means
    assert one.mean == other.mean
    weights = np.where(groups == 0, 1.0, (texts < 15).astype(float))
    one, other = means_by_group(windows, N, fits, Sayings(texts, groups, 2, texts, weights)).means
    half = means_by_group(windows, N, fits, Sayings(np.arange(15), np.zeros(15, dtype=int), 1, np.arange(15))).means[0]
    assert other.mean == pytest.approx(half.mean, abs=1e-6)
    assert np.isnan(other.influence).sum() == 15


def test_a_judge_that_does_not_order_the_anchors_gives_no_means() -> None:
    windows = ranked()
    rng = np.random.default_rng(0)
    shuffled = rng.permuted(np.tile(np.arange(1, 7), (len(windows), 1)), axis=1)
    guessed = replace(windows, orders=shuffled)
    fits = fit_judges(guessed)
    sayings = Sayings(np.arange(N), np.zeros(N, dtype=int), 1, np.arange(N))
    assert np.isnan(means_by_group(guessed, N, fits, sayings).means[0].mean)
    assert np.isfinite(means_by_group(guessed, N, fits, sayings, judge_check=False).means[0].mean)
