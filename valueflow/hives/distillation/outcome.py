"""What `train.py stage=distill` returns: an encoder with a head, and how far it says what its teacher says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from valueflow.hives.distillation.display import show_distillation
from valueflow.run import Outcome

if TYPE_CHECKING:
    import pandas as pd

AGREEMENT_FILE = "agreement.csv"


@dataclass(frozen=True, kw_only=True)
class DistilledEncoder(Outcome):
    """The folder of the encoder with its head, its losses by step, and its agreement with the teacher by value.

    `is_main` as in `Outcome`; in the other processes nothing is measured.
    """

    model: Path
    curve: "pd.DataFrame"
    agreement: "pd.DataFrame | None"
    is_main: bool = True

    def tables(self) -> "Mapping[str, pd.DataFrame]":
        """Return the tables by name, for loggers."""
        return {"curve": self.curve} | ({} if self.agreement is None else {"agreement": self.agreement})

    def show(self) -> None:
        """Print the agreement."""
        show_distillation(self.summary, self.agreement)

    def outputs(self) -> "Mapping[str, pd.DataFrame]":
        """Return the agreement by value: model and curve are in the folder already."""
        return {} if self.agreement is None else {AGREEMENT_FILE: self.agreement}
