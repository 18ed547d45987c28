"""What a categorization leaves: a training table, all votes, and a list for people to look at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from valueflow.categorization.display import show_categorization
from valueflow.categorization.tables import paths_of
from valueflow.run import Outcome
from valueflow.theory import Theory

TABLE_FILE, VOTES_FILE, REVIEW_FILE = "categorized.csv", "votes.csv", "review.csv"
UNPLACED_FILE, PICTURE_FILE = "unplaced.csv", "hierarchy.svg"


@dataclass(frozen=True, kw_only=True)
class Categorization(Outcome):
    """Where a panel has placed texts.

    Attributes
    ----------
    table
        One row per text that has a place, in the order of the input: `text`, `theory`, `level_1` ..., `direction`,
        `stop_reason` (leaf, neutral or no_winner), `agreement`, `decided_by` (panel or people). `train` takes it as it
        is.
    unplaced
        The texts that have none: `row`, `text`, `stop_reason`, `agreement`, `decided_by`.
    review
        Texts that people should look at, with empty columns `decision` and `direction`; filled in, it is what
        `reviewed` takes.
    votes
        One row per text, question and judge.
    summary
        Counts, agreement, what asking took, settings, versions, timings.
    theory
        The hierarchy.
    """

    table: pd.DataFrame
    unplaced: pd.DataFrame
    review: pd.DataFrame
    votes: pd.DataFrame
    theory: Theory

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the tables that have rows by name, for loggers."""
        tables = {"categorized": self.table, "unplaced": self.unplaced, "review": self.review}
        return {name: table for name, table in tables.items() if not table.empty}

    def show(self) -> None:
        """Print the counts for a person."""
        show_categorization(self.summary)

    def outputs(self) -> Mapping[str, pd.DataFrame | Callable[[Path], object]]:
        """Return the tables and the picture of the hierarchy."""
        from valueflow.categorization.picture import draw_hierarchy

        return {
            VOTES_FILE: self.votes,
            REVIEW_FILE: self.review,
            UNPLACED_FILE: self.unplaced,
            TABLE_FILE: self.table,
            PICTURE_FILE: lambda path: draw_hierarchy(self.theory, paths_of(self.table), path),
        }
