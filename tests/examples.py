"""How many examples a property is tried with."""

from hypothesis import settings

_OF_A_PROPERTY = 100
"""Examples where a test says nothing, in the profile `all`."""


def examples(n: int) -> int:
    """Return n, or as much less as the loaded profile draws less than `all`; one at least."""
    return max(n * settings.default.max_examples // _OF_A_PROPERTY, 1)
