"""What a judge is: something that ranks windows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from valueflow.run import Progress as Progress
from valueflow.run import shorten
from valueflow.theory import Theory
from valueflow.vidb import Anchors, Vidb

LONE_JUDGE = "judge"
"""Name of a judge that has no other beside it to be told from."""

LONGEST_LINE = 160
"""Characters that are kept of why a window failed."""


@dataclass(frozen=True)
class Windows:
    """The windows of a run: in each, one response among K-1 anchors, or K texts of one set (`among`).

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

    @classmethod
    def among(
        cls,
        question: "Question",
        texts: npt.NDArray[np.object_],
        items: npt.NDArray[np.int64],
        prompt_order: npt.NDArray[np.int64],
    ) -> Self:
        """Return windows in which texts of unknown intensity meet each other: (W, K) indices into (N,) texts."""
        unknown = Anchors(question.theory.name, question.value, texts, np.full(len(texts), np.nan))
        return cls(items[:, 0], items[:, 1:], prompt_order, texts, unknown)

    def __len__(self) -> int:
        return len(self.responses)

    @property
    def is_among(self) -> bool:
        """Whether all items are of one set of texts, none of which is an anchor."""
        return self.anchor_set.texts is self.response_texts

    @property
    def k(self) -> int:
        """Items in a window: the response and its anchors."""
        return int(self.anchors.shape[1]) + 1


@dataclass(frozen=True)
class Rankings:
    """What judges say of windows: R rankings, each of one window by one judge.

    Attributes
    ----------
    orders
        (R, K) item numbers, most supportive first; a row of zeros where the judge failed.
    failures
        (R,) why a ranking failed, an empty string where it did not.
    windows
        (R,) which window, an index into the `Windows` asked about.
    judges
        (R,) which judge, an index into `judge_names`.
    judge_names
        Names of the J judges, no two alike.
    report
        What judging took: `calls` (answers asked of a model), `cache_hits` (answers that were kept),
        `prompt_tokens`, `completion_tokens` and the like; of several judges the sums of all whole
        numbers, and under `members` each judge's own by name. Empty where there is nothing to tell.
    """

    orders: npt.NDArray[np.int64]
    failures: npt.NDArray[np.object_]
    windows: npt.NDArray[np.int64]
    judges: npt.NDArray[np.int64]
    judge_names: tuple[str, ...]
    report: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        orders: npt.NDArray[np.int64],
        failures: npt.NDArray[np.object_],
        *,
        report: Mapping[str, object] | None = None,
    ) -> Self:
        """Return what one judge says of all windows, one row each in their order."""
        n = len(orders)
        return cls(orders, failures, np.arange(n), np.zeros(n, dtype=np.int64), (LONE_JUDGE,), report or {})

    @property
    def ranked(self) -> npt.NDArray[np.bool_]:
        """(R,) whether each row has a ranking."""
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


@runtime_checkable
class Judge(Protocol):
    """Ranks the items of windows by how strongly they support a value."""

    @property
    def rankings_per_window(self) -> int:
        """How many rankings it gives of each window: 1, or the number of judges in a panel."""
        ...

    def rank(self, question: Question, windows: Windows, progress: Progress) -> Rankings:
        """Rank every window.

        A window that cannot be ranked is a failure with a reason, never an exception: one bad
        answer must not cost a run the others. Rankings may not depend on which other windows
        are asked in the same call. Each ranking is told to `progress` once.
        """
        ...

    def describe(self) -> dict[str, object]:
        """Return what identifies the judge in a summary: kind, model, settings; no secrets.

        `kind`, and `model` or `encoder` where there is one, are short texts that name it to people.
        """
        ...


def checked_rankings(rankings: Rankings, windows: Windows) -> Rankings:
    """Turn every order that is no permutation of a window's items into a failure with that reason."""
    items = np.arange(1, windows.k + 1)
    sound = (np.sort(rankings.orders, axis=1) == items).all(axis=1)
    failures = np.where(rankings.ranked & ~sound, "no permutation of the items", rankings.failures)
    return replace(
        rankings,
        orders=np.where((failures == "")[:, None], rankings.orders, 0),
        failures=plain_lines(failures),
    )


def plain_lines(texts: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Bring reasons and names, which may quote a model or a file, into a form that files and screens can hold.

    Each becomes one line of at most `LONGEST_LINE` characters, what cannot be printed escaped.
    """
    plain = {text: shorten(_printable(shorten(text, LONGEST_LINE)), LONGEST_LINE) for text in set(texts)}
    return np.array([plain[text] for text in texts], dtype=object)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
