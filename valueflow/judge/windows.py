"""Windows before and after a judge has ranked them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from valueflow.judge.reports import summed_report
from valueflow.judge.utilities import TextUtilities
from valueflow.plackett_luce import are_permutations
from valueflow.run import shorten
from valueflow.vidb import Anchors

SINGLE_JUDGE = "judge"
"""Name of a judge that is the only one."""

LONGEST_REASON = 160
"""Maximum number of characters of the reason why a ranking failed."""

Rows = npt.NDArray[np.bool_] | npt.NDArray[np.intp]


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
        theory: str,
        value: str,
        texts: npt.NDArray[np.object_],
        items: npt.NDArray[np.int64],
        prompt_order: npt.NDArray[np.int64],
    ) -> Self:
        """Return windows of texts of unknown intensity: (W, K) indices into (N,) texts; theory and value by id."""
        unknown = Anchors(theory, value, texts, np.full(len(texts), np.nan))
        return cls(items[:, 0], items[:, 1:], prompt_order, texts, unknown)

    @classmethod
    def joined(cls, parts: Sequence["Windows"]) -> Self:
        """Return the windows of several parts as one, part after part; texts and anchors are the same in all."""
        return cls(
            np.concatenate([part.responses for part in parts]),
            np.concatenate([part.anchors for part in parts]),
            np.concatenate([part.prompt_order for part in parts]),
            parts[0].response_texts,
            parts[0].anchor_set,
        )

    def __len__(self) -> int:
        return len(self.responses)

    @property
    def is_among(self) -> bool:
        """Whether all items are of one set of texts, none of which is an anchor."""
        return self.anchor_set.texts is self.response_texts

    @property
    def k(self) -> int:
        """Items per window: the response and its anchors."""
        return int(self.anchors.shape[1]) + 1

    def ranked(
        self,
        orders: npt.NDArray[np.int64],
        failures: npt.NDArray[np.object_] | None = None,
        *,
        report: Mapping[str, object] | None = None,
    ) -> "RankedWindows":
        """Return these windows as one judge ranked them; what a judge answered is checked here, and only here.

        Parameters
        ----------
        orders
            (W, K) item numbers, most supportive first; anything where the judge failed. An order that is not a
            permutation of 1..K becomes a failure with that reason.
        failures, report
            As in `RankedWindows`; None where no ranking failed.

        Raises
        ------
        ValueError
            There is not one order of K items, and one reason, per window.
        """
        given = np.full(len(self), "", dtype=object) if failures is None else failures
        if orders.shape != (len(self), self.k) or given.shape != (len(self),):
            raise ValueError(
                f"{len(self)} windows of {self.k} items need orders of shape {(len(self), self.k)} and failures of "
                f"shape {(len(self),)}, not {orders.shape} and {given.shape}"
            )
        reasons = np.where((given == "") & ~are_permutations(orders), "no permutation of the items", given)
        errors = self.anchor_set.errors
        ranked = RankedWindows.of(
            self.responses,
            np.where((reasons == "")[:, None], orders, 0),
            self.anchor_set.intensities[self.anchors],
            plain_lines(reasons),
            report=report,
        )
        return replace(
            ranked,
            anchors=self.anchors,
            errors=None if errors is None else errors[self.anchors],
            prompt_order=self.prompt_order,
        )


@dataclass(frozen=True, eq=False)
class RankedWindows:
    """Windows as judges ranked them: R rankings, each of one window by one judge.

    Attributes
    ----------
    responses
        (R,) which response.
    orders
        (R, K) item numbers, most supportive first; zeros where the ranking failed.
    intensities
        (R, K-1) intensities of the anchors.
    failures
        (R,) why a ranking failed, an empty string where it did not.
    windows
        (R,) number of the window; the judges of a panel share windows.
    judges
        (R,) which judge, an index into `judge_names`.
    judge_names
        Names of the J judges, no two equal.
    report
        What judging took: `calls` (completions requested), `cache_hits` (cached completions), `prompt_tokens`,
        `completion_tokens` and the like; of a panel the sums of all whole numbers, and under `members` each judge's
        own by name. May be empty.
    anchors
        (R, K-1) which anchors, numbered from 0; None where their intensities are all that is known.
    errors
        (R, K-1) standard errors of the anchors' intensities, NaN where one is unknown; None where all are.
    prompt_order
        (R, K) item numbers in the order shown; None where it is unknown.
    utilities
        What judges that read texts one by one said of those in the windows, by the judge's name.
    """

    responses: npt.NDArray[np.int64]
    orders: npt.NDArray[np.int64]
    intensities: npt.NDArray[np.float64]
    failures: npt.NDArray[np.object_]
    windows: npt.NDArray[np.int64]
    judges: npt.NDArray[np.int64]
    judge_names: tuple[str, ...]
    report: Mapping[str, object] = field(default_factory=dict)
    anchors: npt.NDArray[np.int64] | None = None
    errors: npt.NDArray[np.float64] | None = None
    prompt_order: npt.NDArray[np.int64] | None = None
    utilities: Mapping[str, TextUtilities] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        responses: npt.NDArray[np.int64],
        orders: npt.NDArray[np.int64],
        intensities: npt.NDArray[np.float64],
        failures: npt.NDArray[np.object_],
        *,
        report: Mapping[str, object] | None = None,
    ) -> Self:
        """Return valid rankings of one judge, each of a window of its own."""
        n, judges = len(responses), np.zeros(len(responses), dtype=np.int64)
        return cls(responses, orders, intensities, failures, np.arange(n), judges, (SINGLE_JUDGE,), report or {})

    @classmethod
    def of_panel(cls, members: Mapping[str, "RankedWindows"], report: Mapping[str, object]) -> Self:
        """Return the rankings of several judges, by name, of the same windows: window by window, judge by judge."""
        parts = tuple(members.values())
        judges = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        utilities = {name: own for name, part in members.items() for own in part.utilities.values()}
        panel = cls(
            **_concatenated(parts) | {"judges": judges},
            judge_names=tuple(members),
            report=report,
            utilities=utilities,
        )
        return panel[np.lexsort((panel.judges, panel.windows))]

    @classmethod
    def joined(cls, parts: Sequence["RankedWindows"]) -> Self:
        """Return the rankings of several batches by the same judges as one, batch after batch.

        Windows are numbered through, as in `Windows.joined` of the batches; what judging took is summed up.
        """
        counts = [int(part.windows.max(initial=-1)) + 1 for part in parts]
        numbers = [part.windows + first for part, first in zip(parts, np.cumsum([0, *counts]), strict=False)]
        return cls(
            **_concatenated(parts) | {"windows": np.concatenate(numbers)},
            judge_names=parts[0].judge_names,
            report=summed_report([part.report for part in parts]),
            utilities={
                name: TextUtilities.joined([part.utilities[name] for part in parts]) for name in parts[0].utilities
            },
        )

    def __len__(self) -> int:
        return len(self.responses)

    def __getitem__(self, rows: Rows) -> Self:
        """Return some of the rankings."""
        known = {name: getattr(self, name) for name in _PER_RANKING}
        chosen: dict[str, Any] = {name: array[rows] for name, array in known.items() if array is not None}
        return replace(self, **chosen)

    def with_responses(self, responses: npt.NDArray[np.int64]) -> Self:
        """Return the same rankings with other numbers (R,) of their responses."""
        return replace(self, responses=responses)

    @property
    def ranked(self) -> npt.NDArray[np.bool_]:
        """(R,) whether each row has a ranking."""
        return np.asarray(self.failures == "", dtype=np.bool_)


_PER_RANKING = (
    "responses",
    "orders",
    "intensities",
    "failures",
    "windows",
    "judges",
    "anchors",
    "errors",
    "prompt_order",
)


def _concatenated(parts: Sequence[RankedWindows]) -> dict[str, Any]:
    """Return what is known of each ranking of all parts, part after part."""
    return {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in _PER_RANKING
        if all(getattr(part, name) is not None for part in parts)
    }


def commonest_order(orders: npt.NDArray[np.int64], prompt_order: npt.NDArray[np.int64]) -> tuple[list[int], float]:
    """Return the order of the places in a prompt that a judge gave most often, from 1, and its share of all windows.

    Parameters
    ----------
    orders, prompt_order
        (W, K) item numbers, the most supportive first and in the order shown; W at least 1.
    """
    places = np.take_along_axis(np.argsort(prompt_order, axis=1), orders - 1, axis=1)
    found, counts = np.unique(places, axis=0, return_counts=True)
    return (found[counts.argmax()] + 1).tolist(), float(counts.max() / len(orders))


def plain_lines(texts: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Shorten reasons and names, which may quote a model or a file, to one line of at most `LONGEST_REASON` characters.

    What cannot be printed is escaped.
    """
    plain = {text: shorten(_printable(shorten(text, LONGEST_REASON)), LONGEST_REASON) for text in set(texts)}
    return np.array([plain[text] for text in texts], dtype=object)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
