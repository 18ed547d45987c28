"""Distributions over options from the log-probabilities of letters, and from samples."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.opinionqa.distributions import letter_shares, tally


def log(**shares: float) -> dict[str, float]:
    return {token: math.log(share) for token, share in shares.items()}


def test_all_spellings_of_a_letter_count_for_its_option() -> None:
    tokens = log(A=0.3, b=0.1) | {" A": math.log(0.1), "(B": math.log(0.05), "B.": math.log(0.05), "\nB": math.log(0.1)}
    shares, mass = letter_shares(tokens | log(The=0.2), 3)
    assert shares == pytest.approx((0.4 / 0.7, 0.3 / 0.7, 0))
    assert mass == pytest.approx(0.7)


@pytest.mark.parametrize("token", ["The", "AB", "A lot", "", " ", "D", "1", "\ufffd", "\u0410", "<|im_end|>", "A-"])
def test_other_tokens_count_for_none(token: str) -> None:
    shares, mass = letter_shares({token: math.log(0.6), "A": math.log(0.1)}, 3)
    assert (shares, mass) == ((1, 0, 0), pytest.approx(0.1))


def test_no_letter_is_no_distribution() -> None:
    assert letter_shares(log(The=0.9), 3) == ((), 0)
    assert letter_shares({}, 3) == ((), 0)
    assert letter_shares({"A": -math.inf}, 3) == ((), 0)


@given(st.dictionaries(st.text(max_size=3), st.floats(-800, 0.1), max_size=20), st.integers(1, 26))
def test_anything_gives_a_distribution_or_none(tokens: dict[str, float], n: int) -> None:
    shares, mass = letter_shares(tokens, n)
    assert 0 <= mass <= 1
    assert len(shares) in (0, n)
    assert not shares or math.isclose(sum(shares), 1)
    assert bool(shares) == (mass > 0)


def test_samples_that_name_no_option_do_not_count() -> None:
    assert tally([0, None, 2, 0, None], 3) == pytest.approx((2 / 3, 0, 1 / 3))
    assert tally([None], 3) == ()
    assert tally([1], 2) == (0, 1)
