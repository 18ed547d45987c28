"""Steered generation: a model's responses under values and intensities, and a survey under demographic profiles."""

from valueflow.steering.app import steer
from valueflow.steering.methods import AnchorSteering, PlainSteering, SteeringMethod, UserTextsSteering
from valueflow.steering.opinionqa.survey import SurveyAnswers
from valueflow.steering.pipeline import SteeredResponses
from valueflow.steering.settings import SteeringSettings

__all__ = [
    "AnchorSteering",
    "PlainSteering",
    "SteeredResponses",
    "SteeringMethod",
    "SteeringSettings",
    "SurveyAnswers",
    "UserTextsSteering",
    "steer",
]
