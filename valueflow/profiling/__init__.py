"""Value profiles: from texts and answers to the values of a person, a group or a model (`extract.py task=profile`)."""

from valueflow.profiling.display import show_profiles
from valueflow.profiling.normalization import Normalization
from valueflow.profiling.outcome import PROFILE_OUTPUTS, Profiles
from valueflow.profiling.pipeline import find_profiles
from valueflow.profiling.relevance import EncoderRelevance, LogprobRelevance
from valueflow.profiling.settings import COLUMNS, DEFAULT_THEORY, ProfileSettings

__all__ = [
    "COLUMNS",
    "DEFAULT_THEORY",
    "PROFILE_OUTPUTS",
    "EncoderRelevance",
    "LogprobRelevance",
    "Normalization",
    "ProfileSettings",
    "Profiles",
    "find_profiles",
    "show_profiles",
]
