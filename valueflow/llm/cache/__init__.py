"""The cache of completions: file or server, keys, the engine that uses it, the command that shows and clears it."""

from valueflow.llm.cache.cli import cache_command
from valueflow.llm.cache.completions import CompletionCache
from valueflow.llm.cache.engine import CachedEngine, CacheMode, cache_state
from valueflow.llm.cache.keys import as_bytes, as_json, request_key, request_keys
from valueflow.llm.cache.mounts import network_file_system
from valueflow.llm.cache.place import cache_file, open_cache
from valueflow.llm.cache.postgres import PostgresCache
from valueflow.llm.cache.protocol import CachedCompletions, ModelStatistics

__all__ = [
    "CacheMode",
    "CachedCompletions",
    "CachedEngine",
    "CompletionCache",
    "ModelStatistics",
    "PostgresCache",
    "as_bytes",
    "as_json",
    "cache_command",
    "cache_file",
    "cache_state",
    "network_file_system",
    "open_cache",
    "request_key",
    "request_keys",
]
