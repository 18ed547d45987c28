"""Sequences whose items are made when they are asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.llm import LazySequence


@given(st.lists(st.integers(), max_size=8), st.slices(8))
def test_it_is_read_as_a_list_is(items: list[int], part: slice) -> None:
    lazy = LazySequence(len(items), items.__getitem__)

    assert list(lazy) == items
    assert list(lazy[part]) == items[part]
    assert [lazy[-number] for number in range(1, len(items) + 1)] == items[::-1]
    with pytest.raises(IndexError):
        lazy[len(items)]
