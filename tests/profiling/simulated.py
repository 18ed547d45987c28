"""A judge that knows the truth, and texts that say it: `0.5|-2.0 ...` holds an intensity for each value of a theory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.judge import Cost, Criterion, RankedWindows, Windows
from valueflow.plackett_luce import simulate_rankings
from valueflow.run import Progress, row_keys
from valueflow.theory import Theory, load_theory

DUTY = load_theory("duty")


@dataclass
class KnowingJudge:
    """Ranks by Plackett-Luce, always the same way."""

    rankings_per_window: ClassVar[int] = 1

    beta: float = 1.0
    batches: list[tuple[str, int]] = field(default_factory=list)

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        place = DUTY.values.index(criterion.value)
        truths = np.array([float(text.split("|")[place].split()[-1]) for text in windows.response_texts])
        utilities = np.column_stack([truths[windows.responses], windows.anchor_set.intensities[windows.anchors]])
        self.batches.append((criterion.value, len(windows)))
        progress(len(windows), 0)
        # Windows come in the order of their keys: the draws do not depend on the rows.
        rng = np.random.default_rng(int(row_keys(pd.DataFrame({"value": [criterion.value]}), 3)[0] % 2**32))
        return windows.ranked(simulate_rankings(utilities, self.beta, rng))

    def describe(self) -> dict[str, object]:
        return {"kind": "knowing"}


@dataclass(frozen=True)
class Every:
    """Every text bears on every value, the more the longer it is."""

    n: int | None = None
    threshold: float | None = None

    def of(self, texts: Sequence[str], theory: Theory, progress: Progress) -> npt.NDArray[np.float64]:
        progress(len(texts), 0)
        return np.tile(np.array([len(text) / 100 for text in texts])[:, None], (1, len(theory.values)))

    def cost(self, texts: Sequence[str], theory: Theory) -> Cost | None:
        return None

    def describe(self) -> dict[str, object]:
        return {"kind": "every"}


def write_anchors(folder: Path, per_value: int = 30) -> str:
    rows = [
        {"theory": "duty", "value": value, "text": f"{value} at {rating:.4f}", "final_rating": rating}
        for value in DUTY.values
        for rating in np.linspace(-9.5, 9.5, per_value)
    ]
    path = folder / "anchors.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


def texts_of(groups: dict[str, float], n: int = 12, seed: int = 0, sd: float = 1.0) -> pd.DataFrame:
    """Texts of groups whose mean intensity on every value is known."""
    rng = np.random.default_rng(seed)
    rows = []
    for group, mean in groups.items():
        for number, intensities in enumerate(np.clip(rng.normal(mean, sd, (n, len(DUTY.values))), -10, 10)):
            text = "|".join(f"{intensity:.4f}" for intensity in intensities)
            rows.append({"text": text, "group": group, "person": f"{group} {number // 2}"})
    return pd.DataFrame(rows)
