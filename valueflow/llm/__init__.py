"""Chat models behind one protocol: engines, the cache of their completions, the client that asks them."""

from valueflow.llm.cache import CacheMode, cache_command, cache_state
from valueflow.llm.client import Client, PromptsTooLongError, Usage, is_too_long
from valueflow.llm.engine_pool import release, running_engine
from valueflow.llm.engines import OpenvinoModel, ServerModel, TransformersModel, VllmModel, model_folder
from valueflow.llm.prompting import (
    TRUNCATION_MARK,
    check_places,
    escape_special_tokens,
    fill,
    folded,
    name_constraint,
    named_option,
    quote_text,
    read_name,
    readings,
)
from valueflow.llm.protocol import (
    MAX_LOGPROBS,
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
    "MAX_LOGPROBS",
    "TRUNCATION_MARK",
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
    "OpenvinoModel",
    "PromptTooLong",
    "PromptsTooLongError",
    "Sampling",
    "ServerModel",
    "Stream",
    "TransformersModel",
    "Usage",
    "VllmModel",
    "cache_command",
    "cache_state",
    "check_places",
    "escape_special_tokens",
    "fill",
    "folded",
    "is_too_long",
    "model_folder",
    "name_constraint",
    "named_option",
    "quote_text",
    "read_name",
    "readings",
    "release",
    "running_engine",
]
