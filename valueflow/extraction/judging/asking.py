"""A chunk of texts before a judge: equal texts read once, failures counted, what it took added up."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from valueflow.extraction.judging.settings import GivenJudge
from valueflow.extraction.ray_chunks import Made
from valueflow.judge import Criterion, TextJudge, TextUtilities, for_stream
from valueflow.run import Progress, Share, sharing
from valueflow.theory import Theory
from valueflow.vidb import Vidb

FloatArray = npt.NDArray[np.float64]

TEXTS_AT_ONCE = 1024
"""Different texts that a judge gets in one call: what an encoder makes of them is in memory yet for the next value."""

NOT_FINITE = "the utility is not a finite number"

MOST_REASONS = 100
"""Different reasons of failures that are counted singly; those of a long file, with numbers in them, have no end."""

OTHER_REASONS = "other reasons"

_OF_A_CALL = ("share_outside_words", "tokens_per_second", "likeliest_word", "cache")
"""Entries of a report that say something of the texts of one call and do not add up to something about a file."""


@dataclass(frozen=True)
class JudgeRecipe:
    """A judge, and what it is asked: the same in this process and in actors, which build it from its settings.

    Attributes
    ----------
    node
        The judge's settings; keys of servers are not among them, but the names of variables that hold these.
    theory, values
        The values that texts are judged on, by id.
    vidb
        What the judge may learn from.
    """

    node: Mapping[str, Any]
    theory: Theory
    values: tuple[str, ...]
    vidb: Vidb

    @contextmanager
    def opened(self, *, on_gpu: bool) -> Iterator[Callable[[list[str]], Made]]:
        """Build the judge, while the block has it read texts; errors as of `GivenJudge.of`."""
        judge = for_stream(GivenJudge.of(self.node).judge)
        yield lambda texts: judge_texts(judge, self.criteria, texts, lambda done, failed, note="": None)

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """One for each value."""
        return tuple(Criterion(self.theory, value, self.vidb) for value in self.values)

    def read_anchors(self) -> tuple[TextUtilities, ...]:
        """Build the judge, and return what it says of all anchors."""
        return anchor_utilities(GivenJudge.of(self.node).judge, self.criteria[0], lambda done, failed, note="": None)


def anchor_utilities(judge: TextJudge, criterion: Criterion, advance: Progress) -> tuple[TextUtilities, ...]:
    """Return what a judge says of all anchors, set by set; a shard records no answers of a model to them."""
    with sharing(Share()):
        return tuple(judge.anchor_utilities(criterion, advance))


def judge_texts(judge: TextJudge, criteria: Sequence[Criterion], texts: Sequence[str], advance: Progress) -> Made:
    """Have a judge read N texts on V values.

    Parameters
    ----------
    judge
        Gets `TEXTS_AT_ONCE` different texts at once at most, in the order of the texts, whatever that of the rows is.
    criteria
        One for each value.
    texts
        Equal ones are allowed, and read once.
    advance
        Told of each text on each value.

    Returns
    -------
    Made
        `utility` (N, V) on the judge's own scale, NaN where it failed; in the record `failures`, the number of NaN by
        reason, and `took`, what judging took (see `report_of`).
    """
    distinct, place = np.unique(np.array([*texts, None], dtype=object)[:-1], return_inverse=True)
    copies = np.bincount(place)
    utility = np.empty((len(distinct), len(criteria)))
    failures: Counter[str] = Counter()
    took: dict[str, Any] = {}
    # Its results are what a shard leaves; the answers that they come from are not recorded besides.
    with sharing(Share()):
        for start in range(0, len(distinct), TEXTS_AT_ONCE):
            step = slice(start, start + TEXTS_AT_ONCE)
            reads = []
            for number, criterion in enumerate(criteria):
                read = _read(judge, criterion, distinct[step].tolist(), copies[step], advance)
                utility[step, number] = read.utility
                for reason in np.unique(read.failures[read.failures != ""]).tolist():
                    failures[reason] += int(copies[step][read.failures == reason].sum())
                reads.append(read)
            took = added(took, report_of(reads))
    return Made({"utility": utility[place]}, {"failures": within_bounds(failures), "took": took})


def _read(
    judge: TextJudge, criterion: Criterion, texts: list[str], copies: npt.NDArray[np.int64], advance: Progress
) -> TextUtilities:
    """Return what a judge says of different texts, in their order, failures with reasons; tell of all their copies."""
    told = 0

    def progress(done: int, failed: int, note: str = "") -> None:
        nonlocal told
        told += done
        advance(done, 0, note)

    read = judge.text_utilities(criterion, texts, progress)
    number = {text: place for place, text in enumerate(read.texts)}
    order = np.array([number[text] for text in texts])
    utility, failures = read.utility[order].astype(np.float64), read.failures[order]
    failures = _with_reasons(utility, failures)
    finite = failures == ""
    utility = np.where(finite, utility, np.nan)
    advance(int(copies.sum()) - told, int(copies[~finite].sum()))
    return TextUtilities(read.theory, read.value, read.texts[order], utility, failures, read.details, read.report)


def _with_reasons(utility: FloatArray, failures: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Return the failures, with a reason also where a judge gave none and a utility that is not finite."""
    return np.where(~np.isfinite(utility) & (failures == ""), NOT_FINITE, failures).astype(object)


def failures_of(reads: Sequence[TextUtilities]) -> dict[str, int]:
    """Return how many texts a judge gave no utility, by reason."""
    found: Counter[str] = Counter()
    for read in reads:
        failures = _with_reasons(read.utility, read.failures)
        found.update(failures[failures != ""].tolist())
    return within_bounds(found)


def within_bounds(failures: Mapping[str, int]) -> dict[str, int]:
    """Return counts by reason, the most common first, with all but `MOST_REASONS` of them as one."""
    counts = Counter(failures)
    before = counts.pop(OTHER_REASONS, 0)
    kept = dict(counts.most_common(MOST_REASONS))
    others = counts.total() - sum(kept.values()) + before
    return {**kept, **({OTHER_REASONS: others} if others else {})}


def report_of(reads: Sequence[TextUtilities]) -> dict[str, Any]:
    """Return what it took to read the same texts on several values, as numbers that can be added up over texts.

    Numbers of texts are the same on each value; all else is summed. Of a language model there are also `readings`, and
    `outside_words`, the probability on other words summed over them.
    """
    total: dict[str, Any] = {}
    for read in reads:
        for key, entry in read.report.items():
            if key.startswith("texts_"):
                total[key] = max(total.get(key, 0), entry)
            elif key not in _OF_A_CALL:
                total = added(total, {key: entry})
        if "outside" in read.details:
            outside = read.details["outside"]
            known = np.isfinite(outside)
            total = added(total, {"readings": int(known.sum()), "outside_words": float(outside[known].sum())})
    return total


def added(total: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Add numbers to those of the same name, at any depth; of what is none, the latest counts."""
    found = dict(total)
    for key, entry in more.items():
        before = found.get(key)
        if isinstance(entry, Mapping):
            found[key] = added(before if isinstance(before, Mapping) else {}, entry)
        elif isinstance(entry, int | float) and isinstance(before, int | float) and not isinstance(entry, bool):
            found[key] = before + entry
        else:
            found[key] = entry
    return found
