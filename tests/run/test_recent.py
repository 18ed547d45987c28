"""What is kept is what a plain list of keys in the order of their use says."""

from hypothesis import given
from hypothesis import strategies as st

from valueflow.run import Recent

ENTRY = 200
"""What an entry takes besides its own size."""


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 300))), st.integers(0, 1500))
def test_the_last_used_are_kept_as_far_as_they_fit(steps: list[tuple[bool, int, int]], most: int) -> None:
    recent: Recent[int, str] = Recent(most)
    sizes: dict[int, int] = {}
    used: list[int] = []
    for adds, key, size in steps:
        if adds:
            recent.add(key, f"{key} of {size}", size)
            sizes[key] = size
            used = [*(other for other in used if other != key), key]
            while sum(sizes[kept] + ENTRY for kept in used) > most:
                del used[0]
        else:
            expected = f"{key} of {sizes[key]}" if key in used else None
            assert recent.get(key) == expected
            used = [*(other for other in used if other != key), key] if key in used else used
    assert {key for key in range(6) if recent.get(key) is not None} == set(used)
