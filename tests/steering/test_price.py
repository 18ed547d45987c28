"""What steering costs: repetition by hand, and perplexity under the unsteered model."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.steering.price import repetitions


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("one two three four", 0.0),
        ("one two three four five", 0.0),
        ("a a a a a", 0.5),  # two runs, one of which comes again
        ("I lead I lead I lead I lead", 1 - 2 / 5),
        ("Go on and on. go on and on.", 1 - 4 / 5),  # case does not matter
    ],
)
def test_repetition_is_the_share_of_runs_of_four_words_that_stood_there_before(text: str, share: float) -> None:
    assert repetitions([text])[0] == pytest.approx(share)


def test_a_text_of_fewer_words_has_none() -> None:
    assert [math.isnan(share) for share in repetitions(["", "a b c", "a b c d"])] == [True, True, False]


@given(st.text(alphabet="ab \n", min_size=20))
def test_repetition_is_a_share_below_1(text: str) -> None:
    (share,) = repetitions([text])
    assert math.isnan(share) or 0 <= share < 1
