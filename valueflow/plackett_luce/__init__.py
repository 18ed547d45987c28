"""Plackett-Luce mathematics on arrays: utilities, their uncertainty, a judge's discrimination, simulation.

A judge ranks windows of K items by support. With item utilities u and the judge's discrimination beta, the chance of a
ranking pi is ``prod_k exp(beta u_pi(k)) / sum_{r >= k} exp(beta u_pi(r))`` (Luce, 1959; Plackett, 1975). Item 1 of a
window is the response, whose utility is sought; item j + 1 is anchor j, whose utility is known. ``rankings`` hold item
numbers, most supportive first. Utilities are in points of the anchors' intensity scale.
"""

from .adaptive import AnchorChoice, anchor_information, choose_anchors, posterior_sd
from .agreement import kendall_w
from .discrimination import DiscriminationFit, anchor_kendall_tau, fit_discrimination
from .grid import LOWEST_LOG_LIKELIHOOD, Grid, grid_for, log_likelihoods, mode_on_grid, summarize_on_grid
from .guarded import window_guarded
from .items import ItemFit, fit_items
from .misfit import outfit
from .order_check import OrderCheck, check_order
from .places import HIGHEST_DISCRIMINATION, PlacesFit, fit_places
from .population import PopulationFit, fit_population
from .position import PositionEffect, fit_position_effect
from .prior_precision import LOWEST_PRIOR_PRECISION, choose_prior_precision
from .simulation import simulate_rankings
from .utilities import PosteriorSummary, Solver, UtilityFit, fit_utilities, summarize_posterior
from .windows import are_permutations

__all__ = [
    "HIGHEST_DISCRIMINATION",
    "LOWEST_LOG_LIKELIHOOD",
    "LOWEST_PRIOR_PRECISION",
    "AnchorChoice",
    "DiscriminationFit",
    "Grid",
    "ItemFit",
    "OrderCheck",
    "PlacesFit",
    "PopulationFit",
    "PositionEffect",
    "PosteriorSummary",
    "Solver",
    "UtilityFit",
    "anchor_information",
    "anchor_kendall_tau",
    "are_permutations",
    "check_order",
    "choose_anchors",
    "choose_prior_precision",
    "fit_discrimination",
    "fit_items",
    "fit_places",
    "fit_population",
    "fit_position_effect",
    "fit_utilities",
    "grid_for",
    "kendall_w",
    "log_likelihoods",
    "mode_on_grid",
    "outfit",
    "posterior_sd",
    "simulate_rankings",
    "summarize_on_grid",
    "summarize_posterior",
    "window_guarded",
]
