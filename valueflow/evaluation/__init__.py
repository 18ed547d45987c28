"""The pipeline: responses, anchors and a judge in; rankings, scores and a summary out."""

from valueflow.evaluation.outcome import Evaluation
from valueflow.evaluation.pipeline import TASK, evaluate_responses
from valueflow.evaluation.settings import EvaluationSettings

__all__ = ["TASK", "Evaluation", "EvaluationSettings", "evaluate_responses"]
