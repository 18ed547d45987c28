"""Steered generation: a model's responses under values and intensities; with a preset, a survey's answers."""

from valueflow.steering.activation import ActivationSteering
from valueflow.steering.methods import AnchorSteering, PlainSteering, SteeringMethod, UserTextsSteering
from valueflow.steering.outcome import SteeredResponses
from valueflow.steering.pipeline import TASK, steer
from valueflow.steering.refusals import is_refusal
from valueflow.steering.settings import SteeringSettings
from valueflow.steering.wording import Wording

__all__ = [
    "TASK",
    "ActivationSteering",
    "AnchorSteering",
    "PlainSteering",
    "SteeredResponses",
    "SteeringMethod",
    "SteeringSettings",
    "UserTextsSteering",
    "Wording",
    "is_refusal",
    "steer",
]
