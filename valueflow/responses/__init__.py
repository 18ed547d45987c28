"""The table of responses that steering writes and evaluation reads."""

from valueflow.responses.columns import (
    FILTERS,
    IDENTITY,
    JOINT,
    OURS,
    PRICE,
    REPEATED,
    RESPONSES_FILE,
    joined,
    response_keys,
)
from valueflow.responses.filtering import filter_responses, steered_to
from valueflow.responses.logs import answer_in
from valueflow.responses.reading import load_responses
from valueflow.responses.wording import UNSTEERED, shown_intensity, shown_targets

__all__ = [
    "FILTERS",
    "IDENTITY",
    "JOINT",
    "OURS",
    "PRICE",
    "REPEATED",
    "RESPONSES_FILE",
    "UNSTEERED",
    "answer_in",
    "filter_responses",
    "joined",
    "load_responses",
    "response_keys",
    "shown_intensity",
    "shown_targets",
    "steered_to",
]
