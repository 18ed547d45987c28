"""What a batch is: its texts, in parts, and why some texts and ids cannot be what it is built around."""

from dataclasses import dataclass

from valueflow.hives.data import IntArray

HIERARCHICAL, INDIVIDUAL, CONCEPT = 0, 1, 2
"""Codes of a batch's parts."""

WITHOUT_PATH = "without a path"
ALONE = "alone with its path and direction"
NO_NEGATIVES = "no negatives in its theory"
LONE_INDIVIDUALS = "individual ids with a single text"
ONE_THEORY_CONCEPTS = "theory-anchor ids with texts of a single theory"
"""Why texts cannot be queries, and ids cannot be drawn."""

OF_IDS = (LONE_INDIVIDUALS, ONE_THEORY_CONCEPTS)
"""Reasons that ids are counted by, not texts."""


@dataclass(frozen=True, eq=False)
class Batch:
    """The texts of a batch.

    Attributes
    ----------
    rows
        (B,) row numbers in the labels. A row appears once in a part, and may appear in several parts.
    parts
        (B,) part that each row is drawn for: 0 hierarchical, 1 individual, 2 concept; ascending.
    ids
        (B,) individual id in part 1, concept id in part 2, `NONE` in part 0.
    """

    rows: IntArray
    parts: IntArray
    ids: IntArray

    def __len__(self) -> int:
        return len(self.rows)
