"""Responses without the thoughts that a reasoning model wrote before them."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from valueflow.llm import without_thoughts

UNFINISHED = "it holds a model's thoughts, which do not end, and no response"
NOTHING_AFTER = "it holds a model's thoughts and no response after them"


class Responses(NamedTuple):
    """N responses, what was found in their texts, and which of them are none.

    Attributes
    ----------
    texts
        (N,) without thoughts.
    faults
        (N,) why nothing is left of a text, empty where something is.
    n_with_thoughts
        Texts that held thoughts.
    """

    texts: npt.NDArray[np.object_]
    faults: npt.NDArray[np.object_]
    n_with_thoughts: int


def responses_alone(texts: Iterable[str]) -> Responses:
    """Take the thoughts out of responses, by the rule that completions of a model are read by."""
    said = [without_thoughts(text) for text in texts]
    faults = [
        "" if one.answer.strip() or not one.thinks else UNFINISHED if one.is_unfinished else NOTHING_AFTER
        for one in said
    ]
    return Responses(
        np.array([one.answer for one in said], dtype=object),
        np.array(faults, dtype=object),
        sum(one.thinks for one in said),
    )
