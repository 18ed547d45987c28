"""OpinionQA: survey questions answered in the place of demographic groups, without and with their value profiles."""

from valueflow.opinionqa.display import show_survey, show_surveys
from valueflow.opinionqa.outcome import ACCURACY_FILE, DETAILS_FILE, RELEVANCE_FILE, SurveyAnswers
from valueflow.opinionqa.pipeline import answer_survey
from valueflow.opinionqa.profiles import BANDS, load_profiles, profile_file_name
from valueflow.opinionqa.questions import SurveyQuestion, load_questions, read_json
from valueflow.opinionqa.relevance import compute_relevance
from valueflow.opinionqa.scales import says_no_opinion
from valueflow.opinionqa.settings import OpinionQASettings, SurveySettings

__all__ = [
    "ACCURACY_FILE",
    "BANDS",
    "DETAILS_FILE",
    "RELEVANCE_FILE",
    "OpinionQASettings",
    "SurveyAnswers",
    "SurveyQuestion",
    "SurveySettings",
    "answer_survey",
    "compute_relevance",
    "load_profiles",
    "load_questions",
    "profile_file_name",
    "read_json",
    "says_no_opinion",
    "show_survey",
    "show_surveys",
]
