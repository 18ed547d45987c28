"""Draws against the definitions: which anchors may come, and how often."""

from collections import Counter
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.run import InputError
from valueflow.vidb import AdaptiveSampling, Anchors, BucketSampling, FixedSampling, RandomSampling

LEVELS = st.lists(st.integers(-100, 100).map(lambda tenths: tenths / 10), min_size=2, max_size=40)


def anchors(intensities: list[float]) -> Anchors:
    ordered = np.sort(np.array(intensities, dtype=float))
    return Anchors("t", "v", np.array([f"anchor {i}" for i in range(len(ordered))], dtype=object), ordered)


def uniforms(n_windows: int, n_draws: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n_windows, n_draws))


@given(LEVELS, st.data())
def test_no_window_holds_an_anchor_twice(intensities: list[float], data: st.DataObject) -> None:
    n_draws = data.draw(st.integers(1, len(intensities)))
    for sampling in (BucketSampling(), RandomSampling()):
        drawn = sampling.draw(anchors(intensities), uniforms(50, n_draws))
        assert drawn.shape == (50, n_draws)
        assert drawn.min() >= 0
        assert drawn.max() < len(intensities)
        assert all(len(set(row)) == n_draws for row in drawn.tolist())


@given(LEVELS, st.integers(1, 8))
def test_buckets_draw_from_their_bin_or_the_nearest_that_has_one(intensities: list[float], n_bins: int) -> None:
    """Against a literal reading: bin by bin, with the anchors of each bin listed."""
    if len(intensities) < n_bins or max(intensities) == min(intensities):
        return
    pool = anchors(intensities)
    low, high = pool.intensities[0], pool.intensities[-1]
    edges = np.linspace(low, high, n_bins + 1)
    members: list[list[int]] = [[] for _ in range(n_bins)]
    for index, intensity in enumerate(pool.intensities):
        bin_number = max(b for b in range(n_bins) if intensity >= edges[b])
        members[bin_number].append(index)
    spare = [max(0, len(inside) - 1) for inside in members]
    allowed = [list(inside) for inside in members]
    for b in range(n_bins):
        if not members[b]:
            source = min((c for c in range(n_bins) if spare[c]), key=lambda c: (abs(c - b), c))
            spare[source] -= 1
            allowed[b] = members[source]
    drawn = BucketSampling().draw(pool, uniforms(200, n_bins))
    for b in range(n_bins):
        assert set(drawn[:, b].tolist()) <= set(allowed[b])


def test_every_anchor_of_a_bin_is_as_likely() -> None:
    pool = anchors([-10, -9, -8, -7, 0, 1, 9, 10])  # three bins of 4, 2 and 2
    drawn = BucketSampling().draw(pool, uniforms(40_000, 3))
    shares = np.bincount(drawn.ravel(), minlength=8) / 40_000
    np.testing.assert_allclose(shares, [1 / 4] * 4 + [1 / 2] * 4, atol=0.01)


def test_two_items_a_window_means_one_bin_over_the_whole_scale() -> None:
    drawn = BucketSampling().draw(anchors([-10, -1, 0, 10]), uniforms(40_000, 1))
    np.testing.assert_allclose(np.bincount(drawn.ravel()) / 40_000, [1 / 4] * 4, atol=0.01)


def test_random_draws_every_ordered_choice_alike() -> None:
    drawn = RandomSampling().draw(anchors([0, 1, 2, 3]), uniforms(60_000, 3))
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) == set(permutations(range(4), 3))
    np.testing.assert_allclose(np.array(list(counts.values())) / 60_000, 1 / 24, atol=0.004)


@pytest.mark.parametrize("sampling", [BucketSampling(), RandomSampling()])
def test_too_few_anchors_are_told(sampling: BucketSampling | RandomSampling) -> None:
    with pytest.raises(InputError, match="t/v has 3 anchors but k=6 needs at least 5; set k to 4 or less"):
        sampling.draw(anchors([1, 2, 3]), uniforms(2, 5))


def test_fixed_puts_the_named_anchors_in_every_window(tmp_path: Path) -> None:
    pool = anchors([-5, 0, 5, 7])
    listed = ["anchor 3", "anchor 0"]
    path = tmp_path / "listed.csv"
    pd.DataFrame({"text": listed}).to_csv(path, index=False)
    for sampling in (FixedSampling(listed), FixedSampling(str(path))):
        assert sampling.draw(pool, uniforms(3, 2)).tolist() == [[3, 0]] * 3


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (None, "needs sampling.texts"),
        ([], "needs sampling.texts"),
        (["anchor 1"], "lists 1 anchors but k=3 needs 2; list 2, or set k=2"),
        (["anchor 1", "ancor 2"], "'ancor 2' is no anchor of v in the VIDB; did you mean 'anchor 2'"),
        (["anchor 1", "anchor 1"], "lists an anchor twice"),
        ("nowhere.csv", "nowhere.csv does not exist"),
    ],
)
def test_fixed_without_a_usable_list_is_told(texts: list[str] | str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FixedSampling(texts).draw(anchors([-5, 0, 5, 7]), uniforms(3, 2))


def test_adaptive_windows_begin_as_bucket_s_do() -> None:
    pool = anchors([-9, -6, -5, -2, 0, 1, 4, 7, 9])
    drawn = AdaptiveSampling().draw(pool, uniforms(20, 4))
    np.testing.assert_array_equal(drawn, BucketSampling().draw(pool, uniforms(20, 4)))


def test_adaptive_windows_end_at_the_target_or_where_the_judge_knows_no_better() -> None:
    sampling = AdaptiveSampling(target_se=1.0)
    sd = np.array([0.9, 1.0, 1.1, 1.5])
    assert sampling.is_reached(sd, misreading=0.0).tolist() == [True, True, False, False]
    assert sampling.is_reached(sd, misreading=2.4).tolist() == [True, True, True, False]


def test_adaptive_windows_end_where_another_one_promises_less_than_the_least_gain() -> None:
    # A window adds its information to the precision 1 / 2**2.
    gains = AdaptiveSampling(min_gain=0.1).is_exhausted(np.full(3, 2.0), np.array([0.02, 0.024, 0.026]))
    assert gains.tolist() == [True, True, False]
    assert not AdaptiveSampling(min_gain=0.0).is_exhausted(np.full(1, 2.0), np.zeros(1)).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_se": 0}, "target_se=0: give a number above 0"),
        ({"target_se": float("nan")}, "target_se=nan"),
        ({"target_se": "low"}, "target_se=low"),
        ({"min_windows": 0}, "min_windows=0: give a whole number of 1 or more"),
        ({"min_windows": 2.5}, "min_windows=2.5"),
        ({"min_gain": 1.0}, "min_gain=1.0: give a share from 0 to below 1"),
        ({"repeat_factor": 0}, "repeat_factor=0: give a factor above 0, at most 1"),
    ],
)
def test_adaptive_settings_out_of_range_are_told(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AdaptiveSampling(**settings)
