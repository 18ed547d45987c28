"""A solver for Inspect: steering by prompt."""

from typing import Any

import pandas as pd
from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser
from inspect_ai.solver import Generate, Solver, TaskState, solver

from valueflow.integrations.asking import dataset_of
from valueflow.integrations.inspect.faults import WrongInputError, shown_in_one_line
from valueflow.integrations.measuring import refuse_targets
from valueflow.llm import Message
from valueflow.steering import Wording


@solver
def value_steering(
    theory: str, value: str | None = None, intensity: int | None = None, steering: str = "anchor", **settings: Any
) -> Solver:
    """Put the user's last message to the model as `steer.py` would; other solvers then have it answered.

    Other messages stay; a method's system message comes first.

    Parameters
    ----------
    theory, value, intensity, steering, **settings
        Settings of `steer.py`: the value, -2 to 2, and a method that steers by prompt.

    Raises
    ------
    InputError
        A setting or the anchors cannot be used, or the method works inside a model; a sample has no message of the
        user, or one that is not text alone.
    """
    with shown_in_one_line():
        refuse_targets({"theory": theory, "steering": steering, **settings})
        wording = Wording(theory=theory, value=value, intensity=intensity, steering=steering, **settings)

        # What a method needs, such as anchors, is read before any model is asked.
        wording.conversations(_table("-", ""))

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        place, text = _last_of_user(state)
        *before, asked = wording.conversations(_table(text, dataset_of(state.metadata)))[0]
        state.messages = [
            *(_message(message) for message in before),
            *state.messages[:place],
            _message(asked),
            *state.messages[place + 1 :],
        ]
        return state

    return solve


def _table(query: str, dataset: str) -> pd.DataFrame:
    return pd.DataFrame({"query": [query], "dataset": [dataset]})


def _last_of_user(state: TaskState) -> tuple[int, str]:
    """Return the place of the user's last message, and its text."""
    places = [place for place, message in enumerate(state.messages) if message.role == "user"]
    if not places:
        raise WrongInputError(f"value_steering: sample {state.sample_id} has no message of the user to steer with")
    message = state.messages[places[-1]]
    parts = [] if isinstance(message.content, str) else message.content
    other = next((part.type for part in parts if part.type != "text"), None)
    if other is not None:
        raise WrongInputError(
            f"value_steering: sample {state.sample_id} holds {other}, which no prompt can word; give text alone"
        )
    return places[-1], message.text


def _message(message: Message) -> ChatMessage:
    kind = ChatMessageSystem if message["role"] == "system" else ChatMessageUser
    return kind(content=message["content"])
