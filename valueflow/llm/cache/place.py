"""Where completions are cached, as the environment says: in a file of this machine, or on a server."""

import os
from pathlib import Path

from valueflow.llm.cache.completions import CompletionCache
from valueflow.llm.cache.postgres import PostgresCache
from valueflow.llm.cache.protocol import CachedCompletions
from valueflow.llm.cache.server_address import URL_VARIABLE
from valueflow.run import cache_folder


def cache_file() -> Path:
    """Return where completions are cached on this machine: under VALUEFLOW_CACHE, or the system's folder for caches."""
    return cache_folder("llm") / "completions.sqlite"


def open_cache(*, read_only: bool = False) -> CachedCompletions:
    """Return the cache on the server that VALUEFLOW_CACHE_URL names, or else that of this machine.

    Parameters
    ----------
    read_only
        Look up only; nothing is made or changed.

    Raises
    ------
    InputError
        VALUEFLOW_CACHE_URL is no URL of a PostgreSQL server, or the package that speaks to one is not installed.
    """
    url = os.environ.get(URL_VARIABLE)
    if url:
        return PostgresCache(url, read_only=read_only)
    return CompletionCache(cache_file(), read_only=read_only)
