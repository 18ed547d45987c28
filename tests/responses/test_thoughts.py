"""Responses that come with the thoughts of a reasoning model."""

import logging
from pathlib import Path

import pandas as pd
import pytest

from valueflow.responses import load_responses
from valueflow.run import InputError

SPOKEN = "I would share what I have."


def table(*responses: str) -> pd.DataFrame:
    return pd.DataFrame({"query": "q", "dataset": "d", "response": list(responses)})


@pytest.mark.parametrize(
    "response",
    [
        f"<think>The user wants power.</think>\n\n{SPOKEN}",
        f"<thinking>\nPower?\n</thinking>{SPOKEN}",
        f"[THINK]Power?[/THINK]{SPOKEN}",
        f"Okay, the user wants power.\n</think>\n{SPOKEN}",
        f"<|channel|>analysis<|message|>Power?<|end|><|start|>assistant<|channel|>final<|message|>{SPOKEN}",
    ],
)
def test_thoughts_are_left_out_and_warned_of(response: str, caplog: pytest.LogCaptureFixture) -> None:
    frame, _ = load_responses(table(SPOKEN, response), {})
    assert frame["response"].tolist() == [SPOKEN, SPOKEN]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "1 of 2 responses come with a model's thoughts" in record.getMessage()


def test_a_response_that_speaks_of_thoughts_stays(caplog: pytest.LogCaptureFixture) -> None:
    texts = ["I use <think> and </think> in my prompts.", "  I think so. "]
    frame, _ = load_responses(table(*texts), {})
    assert frame["response"].tolist() == texts
    assert not caplog.records


@pytest.mark.parametrize(
    ("response", "told"),
    [
        ("<think>The user wants an answer that", "holds a model's thoughts, which do not end"),
        ("<think>The user wants an answer.</think>\n", "no response after them"),
    ],
)
def test_thoughts_alone_are_no_response(response: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "r.csv"
    table(SPOKEN, response, response).to_csv(file, index=False)
    with pytest.raises(InputError, match=r"r\.csv, row 2, column 'response'") as error:
        load_responses(str(file), {})
    assert told in str(error.value)
    assert "(and 1 more)" in str(error.value)
