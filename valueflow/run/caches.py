"""Where caches are kept."""

import os
from pathlib import Path

from platformdirs import user_cache_dir


def cache_folder(name: str) -> Path:
    """Return the folder of one of our caches: under VALUEFLOW_CACHE, or the system's folder for caches."""
    return Path(os.environ.get("VALUEFLOW_CACHE") or user_cache_dir("valueflow")) / name
