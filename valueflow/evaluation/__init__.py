"""The pipeline: responses, anchors and a judge in; rankings, scores and a summary out."""

from valueflow.evaluation.calibrating import CalibratedJudge
from valueflow.evaluation.outcome import Evaluation
from valueflow.evaluation.pipeline import TASK, calibrate_judge, evaluate_responses
from valueflow.evaluation.settings import EvaluationSettings

__all__ = ["TASK", "CalibratedJudge", "Evaluation", "EvaluationSettings", "calibrate_judge", "evaluate_responses"]
