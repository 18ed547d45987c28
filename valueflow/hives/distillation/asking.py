"""The teacher is asked: value by value, each in one batch."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from valueflow.hives.distillation.pairs import Pairs
from valueflow.hives.distillation.texts import LearnedValue
from valueflow.judge import Criterion, Progress, TextJudge, summed_report
from valueflow.run import InputError
from valueflow.vidb import Vidb


@dataclass(frozen=True, eq=False)
class Taught:
    """What a teacher said.

    Attributes
    ----------
    pairs
        Those that it gave a utility.
    failures
        How many others there are, by reason.
    report
        What asking took, as `RankedWindows.report`.
    """

    pairs: Pairs
    failures: Mapping[str, int] = field(default_factory=dict)
    report: Mapping[str, object] = field(default_factory=dict)


def ask(
    teacher: TextJudge,
    pairs: Pairs,
    texts: npt.NDArray[np.object_],
    values: Sequence[LearnedValue],
    vidb: Vidb,
    progress: Progress,
) -> Taught:
    """Ask a judge for the utility of each pair.

    Parameters
    ----------
    teacher
        The judge.
    pairs
        Which texts on which values.
    texts, values
        (N,) and V, what the pairs' numbers mean.
    vidb
        Anchors that the judge may learn from.
    progress
        Told of each pair.

    Raises
    ------
    InputError
        It has none for any of them.
    """
    utility = np.full(len(pairs), np.nan)
    failures: Counter[str] = Counter()
    reports = []
    for number, value in enumerate(values):
        rows = np.flatnonzero(pairs.value == number)
        if not len(rows):
            continue
        said = teacher.text_utilities(
            Criterion(value.theory, value.value, vidb), texts[pairs.text[rows]].tolist(), progress
        )
        # Texts differ within a value, so there is one answer per pair, in this order.
        utility[rows] = said.utility
        failures.update(reason for reason in said.failures if reason)
        reports.append(said.report)
    known = np.isfinite(utility)
    if not known.any():
        reason, count = failures.most_common(1)[0] if failures else ("no utilities", len(pairs))
        raise InputError(
            f"teacher: no text got a utility; {count:,} of {len(pairs):,} failed with: {reason or 'no reason given'}"
        )
    return Taught(Pairs(pairs.text, pairs.value, utility)[known], dict(failures), summed_report(reports))
