"""What a task in another harness asks, and on which scale it is scored: from the settings of both commands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from valueflow.responses import OURS
from valueflow.steering import Wording

_SHARED = ("vidb", "vidb_columns", "definitions")
"""Settings that steering and scoring have in common."""


@dataclass(frozen=True)
class Asking:
    """A task: queries, perhaps steered to a value, and the value that the responses are scored on.

    Attributes
    ----------
    steering
        Settings of `steer.py`.
    scoring
        Settings of `evaluate.py`.
    """

    steering: dict[str, Any]
    scoring: dict[str, Any]

    @classmethod
    def of(
        cls,
        theory: str,
        value: str,
        intensity: int | None = None,
        steering: str | None = None,
        queries: str | list[str] | None = None,
        seed: int = 42,
        **settings: Any,
    ) -> "Asking":
        """Divide the settings of a task.

        Parameters
        ----------
        theory, value
            The value.
        intensity
            What to steer to, -2 to 2; None asks plainly.
        steering
            A method that steers by prompt; None: `anchor` where there is an intensity, else `none`.
        queries
            As in `steer.py`; None: the packaged 50.
        seed
            Of all draws.
        **settings
            Others of `evaluate.py`.
        """
        of_both = {"theory": theory, "value": value, "seed": seed}
        of_both |= {key: settings.pop(key) for key in _SHARED if key in settings}
        method = steering or ("none" if intensity is None else "anchor")
        return cls(
            steering={**of_both, "intensity": intensity, "steering": method, "queries": queries},
            scoring={**of_both, **settings},
        )


def sample_labels(wording: Wording, query: str, dataset: str) -> dict[str, dict[str, str]]:
    """Return what a sample carries, by which logs are read as responses and solvers know its query set."""
    return {OURS: {"query": query, "dataset": dataset, **wording.labels}}


def dataset_of(carried: Mapping[str, Any] | None) -> str:
    """Return the query set of a sample by what it carries; empty for one that is not ours."""
    found = (carried or {}).get(OURS)
    return str(found.get("dataset", "")) if isinstance(found, Mapping) else ""


def pairs(queries: pd.DataFrame) -> list[tuple[str, str]]:
    """Return N pairs of query and query set."""
    return list(zip(queries["query"], queries["dataset"], strict=True))
