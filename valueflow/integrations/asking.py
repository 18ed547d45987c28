"""What a task in another harness asks, and on which scale it is scored: from the settings of both commands."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from valueflow.integrations.measuring import refuse_targets
from valueflow.responses import OURS
from valueflow.steering import Wording

_SHARED = ("vidb", "vidb_columns", "definitions", "on_bad_row")
"""Settings that steering and scoring have in common."""

_OF_STEERING = ("limit", "max_tokens", "temperature", "values", "intensities")
"""Settings of steering alone, besides those that have parameters of their own; the rest is about scoring."""


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
            What to steer to, -2 to 2; None asks without a steering prompt.
        steering
            A method that steers by prompt; None: `anchor` where there is an intensity, else `none`. Methods for several
            values take `values` and `intensities`; `value` is then only scored.
        queries
            As in `steer.py`; None: the packaged 50.
        seed
            Of all draws.
        **settings
            `limit`, `max_tokens`, `temperature` and `steering.KEY` of `steer.py`, and others of `evaluate.py`.

        Raises
        ------
        InputError
            A setting names code to run.
        """
        refuse_targets({"theory": theory, "steering": steering, **settings})
        of_both = {"theory": theory, "seed": seed} | _with_names(settings, _SHARED)
        of_steering = _with_names(settings, _OF_STEERING) | _with_names(settings, ("steering",))
        method = steering or ("none" if intensity is None else "anchor")
        is_joint = method.startswith("multi_") or settings.get("values") is not None
        return cls(
            steering={
                **of_both,
                "value": None if is_joint else value,
                "intensity": intensity,
                "steering": method,
                "queries": queries,
                **of_steering,
            },
            scoring={
                **of_both,
                "value": value,
                **{key: entry for key, entry in settings.items() if key not in of_steering and key not in of_both},
            },
        )


def _with_names(settings: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return the settings with such names, dotted keys of theirs as well."""
    return {key: entry for key, entry in settings.items() if key.partition(".")[0] in names}


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
