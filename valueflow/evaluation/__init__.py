"""The pipeline: responses, anchors and a judge in; rankings, scores and a summary out."""

from valueflow.evaluation.pipeline import Evaluation, evaluate_responses
from valueflow.evaluation.settings import EvaluationSettings

__all__ = ["Evaluation", "EvaluationSettings", "evaluate_responses"]
