"""The chat model among a command's settings."""

from typing import Annotated

from pydantic import SkipValidation

from valueflow.llm.protocol import ChatModel
from valueflow.run import built_as

ConfiguredModel = Annotated[
    SkipValidation[ChatModel],
    built_as(
        lambda model: hasattr(model, "start") and hasattr(model, "identity"),
        "a chat model (an object with `start` and `identity`)",
    ),
]
"""A chat model, or the config node of one."""
