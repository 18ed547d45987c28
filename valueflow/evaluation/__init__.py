"""The pipeline: responses, anchors and a judge in; rankings, scores and a summary out."""

from valueflow.evaluation.calibrating import CalibratedJudge
from valueflow.evaluation.outcome import SCORES_FILE, Evaluation, query_clusters
from valueflow.evaluation.pipeline import TASK, calibrate_judge, evaluate_responses
from valueflow.evaluation.settings import EvaluationSettings

__all__ = [
    "SCORES_FILE",
    "TASK",
    "CalibratedJudge",
    "Evaluation",
    "EvaluationSettings",
    "calibrate_judge",
    "evaluate_responses",
    "query_clusters",
]
