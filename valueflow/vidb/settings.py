"""The sampling method among a command's settings."""

from typing import Annotated, Any

from valueflow.run import built_as

ConfiguredSampling = Annotated[
    Any, built_as(lambda sampling: hasattr(sampling, "draw"), "a sampling method (an object with `draw`)")
]
"""How a window's anchors are drawn, or the config node of it."""
