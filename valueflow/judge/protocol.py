"""What a judge is: something that ranks windows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from valueflow.theory import Theory
from valueflow.vidb import Anchors, Vidb

Progress = Callable[[int, int], None]
"""Called as windows are done: how many more were judged, how many of these failed."""


@dataclass(frozen=True)
class Windows:
    """The windows of a run: in each, one response among K-1 anchors.

    Items are numbered from 1: item 1 is the response, item j+1 the window's j-th anchor.

    Attributes
    ----------
    responses
        (W,) which response each window holds, an index into `response_texts`.
    anchors
        (W, K-1) which anchors, indices into `anchor_set`.
    prompt_order
        (W, K) item numbers in the order in which a prompt shows them.
    response_texts
        (N,) texts of all responses of the run.
    anchor_set
        The value's anchors.
    """

    responses: npt.NDArray[np.int64]
    anchors: npt.NDArray[np.int64]
    prompt_order: npt.NDArray[np.int64]
    response_texts: npt.NDArray[np.object_]
    anchor_set: Anchors

    def __len__(self) -> int:
        return len(self.responses)

    @property
    def k(self) -> int:
        """Items in a window: the response and its anchors."""
        return int(self.anchors.shape[1]) + 1


@dataclass(frozen=True)
class Rankings:
    """What a judge says of windows.

    Attributes
    ----------
    orders
        (W, K) item numbers, most supportive first; a row of zeros where the judge failed.
    failures
        (W,) why a window failed, an empty string where it did not.
    """

    orders: npt.NDArray[np.int64]
    failures: npt.NDArray[np.object_]

    @property
    def ranked(self) -> npt.NDArray[np.bool_]:
        """(W,) whether each window has a ranking."""
        return np.asarray(self.failures == "", dtype=np.bool_)


@dataclass(frozen=True)
class Question:
    """What a judge is asked to rank by.

    Attributes
    ----------
    theory
        The theory the value belongs to.
    value
        The value's id in that theory.
    vidb
        All anchors at hand, of this value and others; what a judge may learn from.
    """

    theory: Theory
    value: str
    vidb: Vidb


class Judge(Protocol):
    """Ranks the items of windows by how strongly they support a value."""

    def rank(self, question: Question, windows: Windows, progress: Progress) -> Rankings:
        """Rank every window.

        A window that cannot be ranked is a failure with a reason, never an exception: one bad
        answer must not cost a run the others. Rankings may not depend on which other windows
        are asked in the same call.
        """
        ...

    def describe(self) -> dict[str, object]:
        """Return what identifies the judge in a summary: kind, model, settings; no secrets."""
        ...


def checked_rankings(rankings: Rankings, windows: Windows) -> Rankings:
    """Turn every order that is no permutation of a window's items into a failure with that reason."""
    items = np.arange(1, windows.k + 1)
    sound = (np.sort(rankings.orders, axis=1) == items).all(axis=1)
    failures = np.where(rankings.ranked & ~sound, "no permutation of the items", rankings.failures)
    return Rankings(np.where((failures == "")[:, None], rankings.orders, 0), failures)
