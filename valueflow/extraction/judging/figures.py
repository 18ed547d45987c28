"""What a run says of its utilities: by value, of failures, and of what judging took."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from valueflow.evaluation import ValueLine
from valueflow.extraction.judging.asking import added, within_bounds
from valueflow.extraction.judging.columns import intensity_column, utility_column
from valueflow.extraction.judging.parquet import Figures


class Totals:
    """Sums over the chunks of a file.

    Attributes
    ----------
    failed
        (V,) texts without a utility on each value.
    failures
        Their number by reason.
    took
        What judging took, as numbers that add up.
    """

    def __init__(self, values: int) -> None:
        self.failed = np.zeros(values, dtype=np.int64)
        self.failures: dict[str, int] = {}
        self.took: dict[str, Any] = {}
        self._known = np.zeros(values, dtype=np.int64)
        self._sums = np.zeros(values)

    def add(self, figures: Figures, record: Mapping[str, Any]) -> None:
        """Add a chunk: figures (N, C), of which the first V columns are utilities, and the record of `judge_texts`."""
        utility = figures[:, : len(self.failed)].astype(np.float64)
        finite = np.isfinite(utility)
        self.failed += (~finite).sum(axis=0)
        self._known += finite.sum(axis=0)
        self._sums += np.where(finite, utility, 0.0).sum(axis=0)
        self.failures = within_bounds(added(self.failures, record.get("failures", {})))
        self.took = added(self.took, record.get("took", {}))

    @property
    def means(self) -> list[float]:
        """Mean utility on each value; NaN where there is none."""
        return [float(total / n) if n else float("nan") for total, n in zip(self._sums, self._known, strict=True)]


def figures_of_values(
    values: Sequence[str], lines: Mapping[str, ValueLine], reasons: Mapping[str, str], totals: Totals
) -> list[dict[str, Any]]:
    """Return a record for each value: its columns, failures, mean utility, and the line of its intensities."""
    return [
        {
            "name": value,
            "utility": utility_column(value),
            "intensity": intensity_column(value) if value in lines else None,
            "no_intensity": reasons.get(value),
            "failed": int(failed),
            "mean_utility": mean,
            **_line(lines.get(value)),
        }
        for value, failed, mean in zip(values, totals.failed, totals.means, strict=True)
    ]


def _line(line: ValueLine | None) -> dict[str, Any]:
    if line is None:
        return dict.fromkeys(("half_width", "intercept", "slope", "anchors"))
    return {
        "half_width": line.half_width,
        "intercept": line.intercept,
        "slope": line.slope,
        "anchors": asdict(line.anchors),
    }


def figures_of_shards(summaries: Sequence[Mapping[str, Any]], totals: Totals) -> list[dict[str, Any]]:
    """Return the same of the run that joins shards, whose lines are those of the first one."""
    return [
        {**record, "failed": int(failed), "mean_utility": mean}
        for record, failed, mean in zip(summaries[0]["values"], totals.failed, totals.means, strict=True)
    ]


def failures_of_shards(summaries: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the failures of all shards by reason."""
    total: dict[str, Any] = {}
    for summary in summaries:
        total = added(total, summary["failures"])
    return within_bounds(total)


def took_in_all(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what judging took in all parts of a run, with the shares and rates that follow from the sums."""
    total: dict[str, Any] = {}
    for part in parts:
        total = added(total, {key: entry for key, entry in part.items() if key not in ("cache", *_FOLLOWING)})
    if total.get("readings"):
        total["share_outside_words"] = total["outside_words"] / total["readings"]
    if total.get("seconds"):
        total["tokens_per_second"] = total["completion_tokens"] / total["seconds"]
    return total


_FOLLOWING = ("share_outside_words", "tokens_per_second")
