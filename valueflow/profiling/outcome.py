"""What profiling finds, and what it leaves in its folder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from valueflow.opinionqa import RELEVANCE_FILE
from valueflow.profiling.display import show_profile, show_profiles
from valueflow.profiling.lines import write_profiles
from valueflow.profiling.pictures import KINDS, pictures_of
from valueflow.run import PICTURE_FORMATS, Outcome, replacing

PROFILES_FILE, PROFILES_PARQUET, PAIRS_FILE = "profiles.csv", "profiles.parquet", "pairs.parquet"
PROFILES_FOLDER = "profiles"

PROFILE_OUTPUTS = (
    PROFILES_FILE,
    PROFILES_PARQUET,
    PAIRS_FILE,
    PROFILES_FOLDER,
    RELEVANCE_FILE,
    f"{RELEVANCE_FILE.removesuffix('.csv')}_*.csv",
    *(f"{kind}*.{suffix}" for kind in KINDS for suffix in PICTURE_FORMATS),
)
"""Names and patterns of all files that profiling may leave."""


@dataclass(frozen=True, kw_only=True)
class Profiles(Outcome):
    """The values of groups, persons or models; after `dry_run` there is only `summary`.

    Attributes
    ----------
    table
        One row per group and value; docs/profiles.md describes the columns.
    pairs
        One row per text and value that it bears on, with its score.
    profiles
        One a group, as its JSON file holds it.
    relevance
        For a survey, by theory: `question` and `top_score`, as presets read them.
    summary
        Counts, judge, what asking took, settings, versions, timings.
    """

    table: pd.DataFrame
    pairs: pd.DataFrame
    profiles: Sequence[Mapping[str, Any]]
    relevance: Mapping[str, pd.DataFrame]

    def outputs(self) -> "Mapping[str, pd.DataFrame | Callable[[Path], object] | None]":
        """Return all tables, the folder of profiles, and the pictures."""
        if self.table.empty:
            return {}
        stem = RELEVANCE_FILE.removesuffix(".csv")
        names = [RELEVANCE_FILE] if len(self.relevance) == 1 else [f"{stem}_{name}.csv" for name in self.relevance]
        return {
            PROFILES_FILE: self.table,
            PROFILES_PARQUET: partial(_write_parquet, self.table),
            PAIRS_FILE: partial(_write_parquet, self.pairs),
            PROFILES_FOLDER: partial(write_profiles, self.profiles),
            **dict(zip(names, self.relevance.values(), strict=True)),
            **pictures_of(self.table),
        }

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the profiles, for loggers."""
        return {"profiles": self.table}

    def show(self) -> None:
        """Print the tables for a person."""
        if self.summary["dry_run"]:
            show_profiles([self.summary])
        else:
            show_profile(self.table, self.summary)


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)
