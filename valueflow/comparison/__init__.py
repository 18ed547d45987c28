"""Finished evaluations in; differences, slopes and tests out."""

from valueflow.comparison.outcome import Comparison
from valueflow.comparison.pipeline import TASK, compare
from valueflow.comparison.settings import ComparisonSettings

__all__ = ["TASK", "Comparison", "ComparisonSettings", "compare"]
