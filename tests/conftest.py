"""What all tests share."""

from hypothesis import settings

# The same examples in every run: a failure on main must be the change's, not the draw's.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")
