"""Categorization: a panel of judges votes texts down a theory's hierarchy."""

from valueflow.categorization.outcome import Categorization
from valueflow.categorization.pipeline import TASK, categorize
from valueflow.categorization.settings import CategorizationSettings

__all__ = ["TASK", "Categorization", "CategorizationSettings", "categorize"]
