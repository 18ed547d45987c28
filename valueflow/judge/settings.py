"""The judge among a command's settings."""

from typing import Annotated

from pydantic import SkipValidation

from valueflow.judge.protocol import Judge
from valueflow.run import built_as

ConfiguredJudge = Annotated[
    SkipValidation[Judge],
    built_as(
        lambda judge: isinstance(judge, Judge), "a judge (an object with `rank`, `describe` and `rankings_per_window`)"
    ),
]
"""A judge, or the config node of one."""
