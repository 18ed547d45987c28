"""What is estimated of each group on a value, whichever way it was found."""

from dataclasses import dataclass

from valueflow.profiling.differences import GroupEstimate


@dataclass(frozen=True)
class GroupMean:
    """The mean intensity of a group on a value.

    Attributes
    ----------
    mean, se, low, high
        In points, with a 95% interval; NaN where there is none.
    n
        Texts, or questions, that it rests on.
    clusters
        Persons, queries or questions that these come from.
    estimate
        The same as differences need it.
    """

    mean: float
    se: float
    low: float
    high: float
    n: int
    clusters: int
    estimate: GroupEstimate
