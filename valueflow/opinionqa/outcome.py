"""What a survey leaves: answers of two passes and their accuracy."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from valueflow.opinionqa.display import show_survey
from valueflow.run import Outcome

DETAILS_FILE, ACCURACY_FILE, RELEVANCE_FILE = "details.csv", "accuracy.csv", "relevance.csv"


@dataclass(frozen=True, kw_only=True)
class SurveyAnswers(Outcome):
    """What a model answered in the place of groups, without and with their value profiles.

    Attributes
    ----------
    details
        One row per question and group: what was asked, the group's own distribution, and of each pass the answer, the
        option read from it, whether it is right, why it failed, its distribution over the options, and how near that is
        to the group's and to other groups'; see `measure_survey`.
    accuracy
        One row per attribute, one per attribute group, one overall: see `accuracy_table` for the accuracies, and
        `measure_survey` for alignments, gains and ceilings.
    relevance
        `question` and `top_score` of each different question, where they were computed; a file of them can be given
        to the next run. None where they were read from one.
    summary
        Figures, counts, what asking took, settings, versions, timings.
    """

    details: pd.DataFrame
    accuracy: pd.DataFrame
    relevance: pd.DataFrame | None

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the tables by name, for loggers."""
        return {"accuracy": self.accuracy, "details": self.details}

    def show(self) -> None:
        """Print the table for a person."""
        show_survey(self.summary)

    def outputs(self) -> Mapping[str, pd.DataFrame]:
        """Return `details.csv`, `accuracy.csv`, and `relevance.csv` where it was computed."""
        files = {DETAILS_FILE: self.details, ACCURACY_FILE: self.accuracy}
        return files if self.relevance is None else files | {RELEVANCE_FILE: self.relevance}
