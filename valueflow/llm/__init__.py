"""Chat models behind one protocol: engines, the cache of their completions, one engine for a whole sweep."""

from valueflow.llm.asking import Usage, ask, cache_state
from valueflow.llm.cache import CacheMode
from valueflow.llm.protocol import (
    Arrived,
    ChatModel,
    Completion,
    Constraint,
    Conversation,
    Engine,
    Message,
    PromptTooLong,
    Sampling,
)
from valueflow.llm.running import release, running
from valueflow.llm.server import ServerModel
from valueflow.llm.settings import ConfiguredModel
from valueflow.llm.transformers_engine import TransformersModel
from valueflow.llm.vllm_engine import VllmModel

__all__ = [
    "Arrived",
    "CacheMode",
    "ChatModel",
    "Completion",
    "ConfiguredModel",
    "Constraint",
    "Conversation",
    "Engine",
    "Message",
    "PromptTooLong",
    "Sampling",
    "ServerModel",
    "TransformersModel",
    "Usage",
    "VllmModel",
    "ask",
    "cache_state",
    "release",
    "running",
]
