"""Steering by prompt where others ask: what is said is what `steer` says."""

import pandas as pd
import pytest

from tests.llm.fault_server import FaultServer
from valueflow import steer
from valueflow.run import InputError
from valueflow.steering import Wording


@pytest.mark.parametrize(
    "settings",
    [
        {"value": "power", "intensity": -1},
        {"value": "power", "intensity": 2, "steering": "user_texts", "seed": 7},
        {"values": ["power", "face"], "intensities": [2, -1], "steering": "multi_anchor"},
        {"steering": "none"},
    ],
)
def test_it_words_queries_as_steer_does(settings: dict[str, object]) -> None:
    wording = Wording(theory="pvq", limit=3, **settings)
    with FaultServer() as server:
        model = {"llm": "local", "llm.base_url": server.url, "llm.model": "fault"}
        done = steer(theory="pvq", limit=3, cache="off", progress=False, **model, **settings)
    asked = [call.body["messages"] for call in server.calls]
    said = [list(conversation) for conversation in wording.conversations(wording.queries())]
    assert sorted(said, key=str) == sorted(asked, key=str)
    labels = done.responses[["theory", "value", "intensity", "steering"]].drop_duplicates()
    assert labels.to_dict("records") == [dict(wording.labels)]


def test_what_is_said_of_a_query_does_not_depend_on_the_others() -> None:
    wording = Wording(value="power", intensity=2, steering="user_texts")
    queries = wording.queries().head(5)
    alone = pd.DataFrame({"query": [queries["query"][3]], "dataset": [queries["dataset"][3]]})
    assert wording.conversations(alone) == [wording.conversations(queries)[3]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steering": "activation", "value": "power", "intensity": 2}, "steering=activation works inside a model"),
        ({"value": "power"}, "steering=anchor: 'intensity' is not set"),
        ({"value": "pover", "intensity": 1}, "value 'pover' is not in theory 'pvq'"),
    ],
)
def test_what_cannot_be_worded_is_told(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Wording(**settings)
