"""The panel among a command's settings."""

from typing import Annotated

from pydantic import SkipValidation

from valueflow.run import built_as
from valueflow.voting.panel import Panel

_WHAT = "a panel (an object of valueflow.voting.Panel)"

ConfiguredPanel = Annotated[SkipValidation[Panel], built_as(lambda panel: isinstance(panel, Panel), _WHAT)]
"""A panel, or the config node of one."""

OptionalPanel = Annotated[SkipValidation[Panel | None], built_as(lambda panel: isinstance(panel, Panel | None), _WHAT)]
"""The same, or None."""
