"""What a construction leaves: a database of anchors, and what people should look at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from valueflow.construction.display import show_construction
from valueflow.construction.publishing import publish
from valueflow.run import Outcome
from valueflow.theory import Theory

PLAN_FILE, RANKINGS_FILE, ALL_FILE, REVIEW_FILE = "plan.csv", "rankings.csv", "ratings.csv", "review.csv"
UNRANKED_FILE, PICTURE_FILE, VIDB_FOLDER = "unranked.csv", "distribution.svg", "vidb"


@dataclass(frozen=True, kw_only=True)
class Construction(Outcome):
    """A value intensity database and how it came about.

    After `dry_run` there are only `plan` and `summary`, of a shard these and `rankings`, of its own windows.

    Attributes
    ----------
    database
        What is published: `text`, `final_rating` in [-10, 10], `standard_error`, `windows`, `machine_rating`,
        `human_rating`, `id`; ascending by rating.
    ratings
        All texts that were ranked, also those that are not published, with utilities, outfit and the reason.
    review
        Texts that people should rate: an empty column `human_rating` to fill in; the file is what `reviewed` takes.
    unranked
        Texts of which no window could be ranked.
    plan
        One row per window: `window`, `round`, `id_1` and so on, `prompt_order`.
    rankings
        One row per window and judge: `window`, `judge`, `ranking` (numbers of the ids, the most supportive first),
        `failure`.
    summary
        Counts, reliability, judge, cost, settings, versions, timings.
    """

    plan: pd.DataFrame
    theory: Theory
    value: str
    database: pd.DataFrame = field(default_factory=pd.DataFrame)
    ratings: pd.DataFrame = field(default_factory=pd.DataFrame)
    review: pd.DataFrame = field(default_factory=pd.DataFrame)
    unranked: pd.DataFrame = field(default_factory=pd.DataFrame)
    rankings: pd.DataFrame = field(default_factory=pd.DataFrame)

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the tables that have rows by name, for loggers."""
        tables = {"database": self.database, "review": self.review, "plan": self.plan}
        return {name: table for name, table in tables.items() if not table.empty}

    def show(self) -> None:
        """Print the figures for a person."""
        show_construction(self.summary)

    def outputs(self) -> Mapping[str, pd.DataFrame | Callable[[Path], object]]:
        """Return the tables, the picture, and the database with its card, which is also uploaded where asked for."""
        outputs: dict[str, pd.DataFrame | Callable[[Path], object]] = {
            PLAN_FILE: self.plan,
            RANKINGS_FILE: self.rankings,
            ALL_FILE: self.ratings,
            REVIEW_FILE: self.review,
            UNRANKED_FILE: self.unranked,
        }
        return outputs if self.database.empty else outputs | {PICTURE_FILE: self._draw, VIDB_FOLDER: self._publish}

    def _draw(self, path: Path) -> None:
        from valueflow.construction.picture import draw_distribution

        draw_distribution(
            self.ratings["final_rating"].to_numpy(dtype=float),
            self.ratings["standard_error"].to_numpy(dtype=float),
            self.ratings["published"].to_numpy(dtype=bool),
            path,
        )

    def _publish(self, folder: Path) -> None:
        push_to = self.summary["settings"]["push_to"]
        publish(self.database, self.theory, self.value, self.summary, folder, push_to)
