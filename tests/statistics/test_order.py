"""Agreement of orders, against scipy and counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, norm, spearmanr

from valueflow.statistics import order_agreement


@given(
    st.lists(st.tuples(st.integers(-4, 4), st.integers(-3, 3)), min_size=3, max_size=30).filter(
        lambda pairs: all(len({pair[side] for pair in pairs}) > 1 for side in (0, 1))
    )
)
def test_it_is_what_scipy_finds_ties_and_all(pairs: list[tuple[int, int]]) -> None:
    figures, known = np.array(pairs, dtype=float).T
    found = order_agreement(figures, known)
    expected = kendalltau(figures, known, method="asymptotic")
    assert found.tau == pytest.approx(expected.statistic)
    assert 2 * norm.sf(abs(found.z)) == pytest.approx(expected.pvalue, abs=1e-9)
    assert found.spearman == pytest.approx(spearmanr(figures, known).statistic)
    right, counted = 0.0, 0
    for i in range(len(known)):
        for j in range(i):
            if known[i] != known[j]:
                counted += 1
                right += {1: 1.0, 0: 0.5, -1: 0.0}[np.sign((figures[i] - figures[j]) * (known[i] - known[j]))]
    assert found.pairwise == pytest.approx(right / counted)


@pytest.mark.slow
def test_a_random_order_exceeds_two_as_rarely_as_it_should() -> None:
    rng = np.random.default_rng(0)
    known = np.arange(12.0)
    above = np.mean([order_agreement(rng.normal(size=12), known).z > 2 for _ in range(2000)])
    assert above == pytest.approx(norm.sf(2), abs=0.01)


@pytest.mark.parametrize(("figures", "known"), [([1.0, 1, 1], [1.0, 2, 3]), ([1.0, 2], [4.0, 4]), ([3.0], [1.0])])
def test_what_has_no_order_has_no_agreement(figures: list[float], known: list[float]) -> None:
    found = order_agreement(np.array(figures), np.array(known))
    assert np.isnan([found.tau, found.z, found.spearman, found.pairwise]).all()
