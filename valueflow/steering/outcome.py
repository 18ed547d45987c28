"""What a steered model leaves: its responses, and the queries that were not answered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd

from valueflow.responses import RESPONSES_FILE
from valueflow.run import Outcome
from valueflow.steering.display import show_steering
from valueflow.steering.value_vectors import ValueVectors, file_of

FAILURES_FILE = "failures.csv"
VECTORS_FOLDER = "vectors"


@dataclass(frozen=True, kw_only=True)
class SteeredResponses(Outcome):
    """What a steered model said.

    Attributes
    ----------
    responses
        One row per query that was answered, in the order of the queries: `query`, `dataset`, `response`, `theory`,
        `value`, `intensity`, `steering`, `model`, and `strength` where vectors were added inside the model.
        `evaluate_responses` takes it as it is.
    failures
        One row per query that was not, with `failure` in the place of `response`.
    vectors
        By value, what was added inside the model.
    summary
        Counts, what was steered to, what asking took, settings, versions, timings.
    """

    responses: pd.DataFrame
    failures: pd.DataFrame
    vectors: Mapping[str, ValueVectors] = field(default_factory=dict)

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the tables by name, for loggers."""
        return {"responses": self.responses} | ({} if self.failures.empty else {"failures": self.failures})

    def show(self) -> None:
        """Print the table for a person."""
        show_steering([self.summary])

    def outputs(self) -> "Mapping[str, pd.DataFrame | Callable[[Path], object] | None]":
        """Return `responses.csv`, `failures.csv`, and the folder `vectors` where there are any."""
        vectors = {VECTORS_FOLDER: partial(_save, self.vectors)} if self.vectors else {}
        return {**vectors, FAILURES_FILE: self.failures, RESPONSES_FILE: self.responses}


def _save(vectors: Mapping[str, ValueVectors], folder: Path) -> None:
    for value, found in vectors.items():
        found.save(file_of(folder, value))
