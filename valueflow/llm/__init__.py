"""Chat models behind one protocol: engines, the cache of their completions, the client that asks them."""

from valueflow.llm.cache import CacheMode, cache_state
from valueflow.llm.client import Client, PromptsTooLongError, Usage, is_too_long
from valueflow.llm.engine_pool import release, running_engine
from valueflow.llm.engines import ServerModel, TransformersModel, VllmModel
from valueflow.llm.protocol import (
    Arrivals,
    ChatModel,
    Completion,
    Constraint,
    Conversation,
    Engine,
    Message,
    PromptTooLong,
    Sampling,
    Stream,
)
from valueflow.llm.settings import ConfiguredModel

__all__ = [
    "Arrivals",
    "CacheMode",
    "ChatModel",
    "Client",
    "Completion",
    "ConfiguredModel",
    "Constraint",
    "Conversation",
    "Engine",
    "Message",
    "PromptTooLong",
    "PromptsTooLongError",
    "Sampling",
    "ServerModel",
    "Stream",
    "TransformersModel",
    "Usage",
    "VllmModel",
    "cache_state",
    "is_too_long",
    "release",
    "running_engine",
]
