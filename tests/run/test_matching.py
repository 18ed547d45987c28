"""Texts that went through a spreadsheet are found again, and no other is taken for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.run import TextIndex

TEXTS = ["I share.\r\nA lot.", "I share. A lot.", "I keep\xa0it.", " padded ", "x" * 40_000, "one", "one"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("I share.\nA lot.", 0),
        ("I share.\rA lot.", 0),
        ("I share.\r\nA lot.", 0),
        ("I share. A lot.", 1),
        ("I keep it.", 2),
        ("padded", 3),
        ("one", 5),
        ("I share", None),
        ("", None),
    ],
)
def test_line_breaks_and_blanks_around_may_change(text: str, number: int | None) -> None:
    assert TextIndex(TEXTS).find(text) == number


def test_two_texts_that_differ_in_nothing_else_are_told_apart_exactly_or_not_at_all() -> None:
    index = TextIndex(["a\nb", "a\r\nb"])
    assert [index.find(text) for text in ("a\nb", "a\r\nb", "a\rb")] == [0, 1, None]


def test_a_row_confirms_what_letters_and_digits_say() -> None:
    index = TextIndex(TEXTS)
    assert index.may_be("I \u201cshare\u201d - a lot", 1)
    assert not index.may_be("I keep it.", 1)
    assert index.may_be("x" * 32_767, 4)
    assert not index.may_be("x" * 100, 4)


@given(st.lists(st.text(max_size=6), min_size=1, unique=True))
def test_every_text_is_found_as_itself(texts: list[str]) -> None:
    index = TextIndex(texts)
    assert [index.find(text) for text in texts] == list(range(len(texts)))
