"""Finished evaluations in; differences, slopes and tests out."""

from valueflow.comparison.display import FamilyTable, family_table
from valueflow.comparison.forest import draw_forest
from valueflow.comparison.outcome import Comparison
from valueflow.comparison.pipeline import TASK, compare
from valueflow.comparison.settings import ComparisonSettings

__all__ = ["TASK", "Comparison", "ComparisonSettings", "FamilyTable", "compare", "draw_forest", "family_table"]
