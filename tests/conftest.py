"""What all tests share."""

import os

from hypothesis import settings

# No test asks a hub for anything; without this, a name that is not there costs a minute of retries.
os.environ["HF_HUB_OFFLINE"] = "1"

# The same examples in every run: a failure on main must be the change's, not the draw's.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")
