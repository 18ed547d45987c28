"""OpinionQA: survey questions answered in the place of demographic groups, without and with their value profiles."""

from valueflow.opinionqa.display import show_surveys
from valueflow.opinionqa.outcome import ACCURACY_FILE, DETAILS_FILE, RELEVANCE_FILE, SurveyAnswers
from valueflow.opinionqa.pipeline import answer_survey
from valueflow.opinionqa.settings import OpinionQASettings, SurveySettings

__all__ = [
    "ACCURACY_FILE",
    "DETAILS_FILE",
    "RELEVANCE_FILE",
    "OpinionQASettings",
    "SurveyAnswers",
    "SurveySettings",
    "answer_survey",
    "show_surveys",
]
