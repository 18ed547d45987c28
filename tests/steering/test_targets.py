"""Which steering intensity an anchor stands for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from valueflow.responses import joined
from valueflow.steering.targets import intensity_bins


def bin_of(intensity: float, slight: float, strong: float) -> int:
    """The rule as it is told, one anchor at a time."""
    if intensity > strong:
        return 2
    if slight <= intensity <= strong:
        return 1
    if intensity < -strong:
        return -2
    if -strong <= intensity <= -slight:
        return -1
    return 0


@given(st.lists(st.floats(-10, 10), max_size=30), st.floats(0.1, 10), st.floats(0.1, 10))
def test_bins_are_those_of_the_rule(intensities: list[float], one: float, other: float) -> None:
    slight, strong = sorted((one, other))
    bins = intensity_bins(np.array(intensities, dtype=float), slight_from=slight, strong_beyond=strong)
    assert bins.tolist() == [bin_of(intensity, slight, strong) for intensity in intensities]


def test_the_published_bounds() -> None:
    given_ = [-10, -6.51, -6.5, -3, -2.99, 0, 2.99, 3, 6.5, 6.51, 10]
    bins = intensity_bins(np.array(given_), slight_from=3.0, strong_beyond=6.5)
    assert bins.tolist() == [-2, -2, -1, -1, 0, 0, 0, 1, 1, 2, 2]


def test_values_and_intensities_share_a_cell() -> None:
    assert joined(["benevolence", "power"]) == "benevolence|power"
    assert joined([2, -1]) == "2|-1"
    assert joined([0]) == "0"
