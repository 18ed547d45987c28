"""What a judge is: something that ranks windows, perhaps by what it says of single texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from valueflow.judge.utilities import TextUtilities
from valueflow.judge.windows import RankedWindows, Windows
from valueflow.run import Progress as Progress
from valueflow.theory import Theory
from valueflow.vidb import Vidb


@dataclass(frozen=True)
class Criterion:
    """What a judge ranks by.

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

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        """Rank every window, and return `windows.ranked(orders, failures)`.

        A window that cannot be ranked is a failure with a reason, never an exception: one bad answer must not cost a
        run the others. Rankings may not depend on which other windows are judged in the same call. Each ranking is
        reported to `progress` once.
        """
        ...

    def describe(self) -> dict[str, object]:
        """Return what identifies the judge in a summary: kind, model, settings; no secrets.

        `kind`, and `model` or `encoder` where there is one, are short texts that name it to people.
        """
        ...


@runtime_checkable
class TextJudge(Protocol):
    """A judge that reads texts one by one: what it says of a text does not depend on other texts."""

    def text_utilities(self, criterion: Criterion, texts: Sequence[str], progress: Progress) -> TextUtilities:
        """Return the utilities of texts on the criterion's value; equal texts are read once, in order of appearance.

        A text that the judge learned from is read without it. Each different text is reported to `progress` once.
        """
        ...

    def anchor_utilities(self, criterion: Criterion, progress: Progress) -> tuple[TextUtilities, ...]:
        """Return the utilities of all anchors of the criterion's VIDB, set by set, each on its set's own value.

        An anchor that the judge learned from is read without it, and without every copy of its text.
        """
        ...
