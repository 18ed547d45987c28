"""Chat models behind one protocol: engines, the cache of their completions, the client that asks them."""

from valueflow.llm.additions import AddedTokens, Addition
from valueflow.llm.cache import CacheMode, cache_command, cache_state
from valueflow.llm.client import Client, PromptsTooLongError, Usage, check_startable, is_too_long
from valueflow.llm.engine_pool import release, running_engine
from valueflow.llm.engines import OpenvinoModel, ServerModel, TransformersModel, VllmModel, model_folder
from valueflow.llm.lazy import LazySequence
from valueflow.llm.open_models import Likelihoods, Readings, ResidualStream, check_residual_stream, residual_stream
from valueflow.llm.prompting import (
    CUT_IN_THOUGHTS,
    TRUNCATION_MARK,
    check_places,
    entries_of,
    escape_special_tokens,
    fill,
    folded,
    name_constraint,
    named_option,
    quote_text,
    read_name,
    readings,
    without_objects,
    without_thoughts,
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
from valueflow.llm.words import begins

__all__ = [
    "CUT_IN_THOUGHTS",
    "MAX_LOGPROBS",
    "TRUNCATION_MARK",
    "AddedTokens",
    "Addition",
    "Arrivals",
    "CacheMode",
    "ChatModel",
    "Client",
    "Completion",
    "ConfiguredModel",
    "Constraint",
    "Conversation",
    "Engine",
    "LazySequence",
    "Likelihoods",
    "Message",
    "OpenvinoModel",
    "PromptTooLong",
    "PromptsTooLongError",
    "Readings",
    "ResidualStream",
    "Sampling",
    "ServerModel",
    "Stream",
    "TransformersModel",
    "Usage",
    "VllmModel",
    "begins",
    "cache_command",
    "cache_state",
    "check_places",
    "check_residual_stream",
    "check_startable",
    "entries_of",
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
    "residual_stream",
    "running_engine",
    "without_objects",
    "without_thoughts",
]
