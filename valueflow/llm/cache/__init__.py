"""The cache of completions: its file, its keys, the engine that uses it, the command that shows and clears it."""

from valueflow.llm.cache.cli import cache_command
from valueflow.llm.cache.completions import CompletionCache, ModelStatistics, cache_file
from valueflow.llm.cache.engine import CachedEngine, CacheMode, cache_state
from valueflow.llm.cache.keys import as_bytes, as_json, request_key

__all__ = [
    "CacheMode",
    "CachedEngine",
    "CompletionCache",
    "ModelStatistics",
    "as_bytes",
    "as_json",
    "cache_command",
    "cache_file",
    "cache_state",
    "request_key",
]
