"""What a steered model leaves: its responses, and the queries that were not answered."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from valueflow.responses import RESPONSES_FILE
from valueflow.run import Outcome
from valueflow.steering.display import show_steering

FAILURES_FILE = "failures.csv"


@dataclass(frozen=True, kw_only=True)
class SteeredResponses(Outcome):
    """What a steered model said.

    Attributes
    ----------
    responses
        One row per query that was answered, in the order of the queries: `query`, `dataset`, `response`, `theory`,
        `value`, `intensity`, `steering`, `model`. `evaluate_responses` takes it as it is.
    failures
        One row per query that was not, with `failure` in the place of `response`.
    summary
        Counts, what was steered to, what asking took, settings, versions, timings.
    """

    responses: pd.DataFrame
    failures: pd.DataFrame

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the tables by name, for loggers."""
        return {"responses": self.responses} | ({} if self.failures.empty else {"failures": self.failures})

    def show(self) -> None:
        """Print the table for a person."""
        show_steering([self.summary])

    def outputs(self) -> Mapping[str, pd.DataFrame]:
        """Return `responses.csv` and `failures.csv`."""
        return {FAILURES_FILE: self.failures, RESPONSES_FILE: self.responses}
