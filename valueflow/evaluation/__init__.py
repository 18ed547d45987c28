"""The pipeline: responses, anchors and a judge in; rankings, scores and a summary out."""

from valueflow.evaluation.aims import (
    NO_MODEL,
    arrows,
    asked_intensity,
    draw_arrows,
    is_unsteered,
    several_values,
    unsteered_like,
)
from valueflow.evaluation.anchor_utilities import check_anchor_count
from valueflow.evaluation.calibrating import CalibratedJudge
from valueflow.evaluation.display import evaluation_remarks
from valueflow.evaluation.dose_response import dose_response_means
from valueflow.evaluation.group_means import GroupMeans, Sayings, means_by_group
from valueflow.evaluation.judges import BOUNDS, JudgeFit, Reliability, fit_judges
from valueflow.evaluation.judging import JudgedWindows, judge_responses
from valueflow.evaluation.lines_of_values import ValueLine, value_lines
from valueflow.evaluation.mean import AnchorLine, MeanEstimate, mean_of_scores
from valueflow.evaluation.outcome import RANKINGS_FILE, SCORES_FILE, Evaluation, query_clusters
from valueflow.evaluation.pipeline import TASK, calibrate_judge, evaluate_responses
from valueflow.evaluation.reading import text_judge
from valueflow.evaluation.scoring import Scores, score_windows
from valueflow.evaluation.settings import EvaluationSettings, WindowSettings
from valueflow.evaluation.windows import build_windows

__all__ = [
    "BOUNDS",
    "NO_MODEL",
    "RANKINGS_FILE",
    "SCORES_FILE",
    "TASK",
    "AnchorLine",
    "CalibratedJudge",
    "Evaluation",
    "EvaluationSettings",
    "GroupMeans",
    "JudgeFit",
    "JudgedWindows",
    "MeanEstimate",
    "Reliability",
    "Sayings",
    "Scores",
    "ValueLine",
    "WindowSettings",
    "arrows",
    "asked_intensity",
    "build_windows",
    "calibrate_judge",
    "check_anchor_count",
    "dose_response_means",
    "draw_arrows",
    "evaluate_responses",
    "evaluation_remarks",
    "fit_judges",
    "is_unsteered",
    "judge_responses",
    "mean_of_scores",
    "means_by_group",
    "query_clusters",
    "score_windows",
    "several_values",
    "text_judge",
    "unsteered_like",
    "value_lines",
]
