"""Categorisation: a panel of judges votes texts down a theory's hierarchy."""

from valueflow.categorization.agreement import fleiss_kappa
from valueflow.categorization.app import categorize
from valueflow.categorization.panel import Panel, PanelMember, panel_of, panel_of_server
from valueflow.categorization.pipeline import Categorization
from valueflow.categorization.rule import VotingRule
from valueflow.categorization.settings import CategorizationSettings

__all__ = [
    "Categorization",
    "CategorizationSettings",
    "Panel",
    "PanelMember",
    "VotingRule",
    "categorize",
    "fleiss_kappa",
    "panel_of",
    "panel_of_server",
]
