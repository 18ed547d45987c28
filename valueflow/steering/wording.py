"""Steering by prompt where someone else asks the model: queries in, conversations out."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from valueflow.llm import Conversation
from valueflow.run import BadRows, InputError, compose_settings
from valueflow.steering.methods import PromptSteering, Request
from valueflow.steering.queries import load_queries
from valueflow.steering.settings import SteeringSettings
from valueflow.vidb import Anchors, load_vidb


class Wording:
    """What `steer` would say to a model, for harnesses that do the asking.

    Parameters
    ----------
    **settings
        Those of `steer`; what is not given has the default of `configs/steer.yaml`. None of them may be about a model.

    Attributes
    ----------
    settings
        Complete and checked.
    labels
        `theory`, `value`, `intensity` and `steering`, as responses have them.

    Raises
    ------
    InputError
        A setting cannot be used, or the method does not steer by what it says.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = SteeringSettings.checked(compose_settings("steer", settings))
        if not isinstance(self.settings.steering, PromptSteering):
            raise InputError(
                f"steering={self.settings.steering.name} works inside a model that `steer` runs; other harnesses steer "
                "by prompt: anchor, sentence, user_texts, multi_anchor, multi_user_texts or none"
            )
        self._targets = self.settings.targets()
        self.labels: Mapping[str, str] = self.settings.labels(self._targets)

    def queries(self) -> pd.DataFrame:
        """Return the queries that the settings name: `query` and `dataset`."""
        return load_queries(self.settings.queries, self.settings.limit, BadRows(self.settings.on_bad_row))

    def conversations(self, queries: pd.DataFrame) -> list[Conversation]:
        """Word N queries, given `query` and `dataset`; what is said of one does not depend on the others.

        Raises
        ------
        InputError
            The anchors do not allow it.
        """
        settings = self.settings

        def anchors(value: str) -> Anchors:
            vidb = load_vidb(settings.vidb, settings.theory, settings.vidb_columns, BadRows(settings.on_bad_row))
            return vidb.of(settings.theory, value)

        request = Request(settings.theory, self._targets, queries, anchors=anchors, seed=settings.seed)
        return settings.steering.steer(request).conversations
