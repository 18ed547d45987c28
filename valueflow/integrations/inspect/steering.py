"""A solver for Inspect: steering by prompt."""

from typing import Any

import pandas as pd
from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser
from inspect_ai.solver import Generate, Solver, TaskState, solver

from valueflow.integrations.asking import dataset_of
from valueflow.integrations.inspect.faults import shown_in_one_line
from valueflow.llm import Message
from valueflow.steering import Wording


@solver
def value_steering(
    theory: str, value: str | None = None, intensity: int | None = None, steering: str = "anchor", **settings: Any
) -> Solver:
    """Put a sample's input to the model as `steer.py` would; other solvers then have it answered.

    Parameters
    ----------
    theory, value, intensity, steering, **settings
        Settings of `steer.py`: the value, -2 to 2, and a method that steers by prompt.

    Raises
    ------
    InputError
        A setting cannot be used, or the method works inside a model.
    """
    with shown_in_one_line():
        wording = Wording(theory=theory, value=value, intensity=intensity, steering=steering, **settings)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        asked = pd.DataFrame({"query": [state.input_text], "dataset": [dataset_of(state.metadata)]})
        state.messages = [_message(message) for message in wording.conversations(asked)[0]]
        return state

    return solve


def _message(message: Message) -> ChatMessage:
    kind = ChatMessageSystem if message["role"] == "system" else ChatMessageUser
    return kind(content=message["content"])
