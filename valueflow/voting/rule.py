"""The rule by which a panel decides, on arrays of votes."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from valueflow.run import InputError

IntArray = npt.NDArray[np.int64]

ABSTAINED = -1
"""In the place of a vote that cannot be used."""

NO_WINNER = -1
"""In the place of a winner where there is none."""

_OF = 7
_ACCEPT, _LEAD = 5, 2
"""The rule is known for seven judges: 5 votes, or a lead of 2."""


@dataclass(frozen=True)
class VotingRule:
    """When an option wins: it has `accept` votes, or leads the next one by `lead`; never in a tie.

    Attributes
    ----------
    accept
        Votes that are enough.
    lead
        Votes ahead of the second that are enough, however few there are in all.
    """

    accept: int
    lead: int

    @classmethod
    def of(cls, judges: int, accept: int | None = None, lead: int | None = None) -> Self:
        """Return the rule of a panel of so many judges.

        Parameters
        ----------
        judges
            J, 1 or more.
        accept, lead
            As given; None: 5 and 2 of 7 judges in proportion, rounded up, ceil(5 J / 7) and ceil(2 J / 7).

        Raises
        ------
        InputError
            One of them is below 1 or above J.
        """
        numbers = {"accept": accept, "lead": lead}
        for name, given in numbers.items():
            if given is not None and not 1 <= given <= judges:
                raise InputError(f"panel.{name}={given}: give 1 to {judges} votes, as the panel has {judges} judges")
        return cls(
            accept=-(-_ACCEPT * judges // _OF) if accept is None else accept,
            lead=-(-_LEAD * judges // _OF) if lead is None else lead,
        )


def count_votes(votes: IntArray, n_options: int) -> IntArray:
    """Count votes.

    Parameters
    ----------
    votes
        (T, J) what each judge chose for each text, an option's index, or `ABSTAINED`.
    n_options
        C.

    Returns
    -------
    (T, C) array
    """
    counts = np.zeros((len(votes), n_options + 1), dtype=np.int64)
    # An abstention is index -1, which is the last column.
    np.add.at(counts, (np.arange(len(votes))[:, None], votes), 1)
    return counts[:, :n_options]


def winners(counts: IntArray, rule: VotingRule) -> IntArray:
    """Decide.

    Parameters
    ----------
    counts
        (T, C) votes for each option; C is 2 or more, options that a text does not have are at 0.
    rule
        Of the panel.

    Returns
    -------
    (T,) array
        Index of the option that wins, `NO_WINNER` where none does.
    """
    second, first = np.partition(counts, (-2, -1), axis=1)[:, -2:].T
    ahead = first - second
    wins = (ahead > 0) & ((first >= rule.accept) | (ahead >= rule.lead))
    return np.where(wins, counts.argmax(axis=1), NO_WINNER)
