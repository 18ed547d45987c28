"""Texts on their way down a theory's hierarchy, all of them together, one decision of the panel after another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from valueflow.theory import Theory
from valueflow.voting import NO_WINNER, Votes, VotingRule, count_votes, winners

ROOT = ""
"""Stands for where a descent begins: above the nodes of level 1."""

NEUTRAL = "Neutral"
"""The option of a second round that stops a descent; no id of a node has a capital letter."""

LEAF, NEUTRAL_STOP, NO_WINNER_STOP = "leaf", "neutral", "no_winner"
"""Why a descent has stopped."""


@dataclass(frozen=True)
class Ballot:
    """One question to the panel.

    Attributes
    ----------
    text
        Which text, an index.
    level
        Level of the nodes among which is chosen, from 1.
    round
        1, or 2 where the first round had no winner.
    path
        Ids of the nodes walked so far.
    options
        Ids of the nodes to choose from, in the theory's order; the last is `NEUTRAL` in round 2.
    """

    text: int
    level: int
    round: int
    path: tuple[str, ...]
    options: tuple[str, ...]

    @property
    def is_first(self) -> bool:
        """Whether no round went before at this level."""
        return self.round == 1 or len(self.options) == 2

    @property
    def parent(self) -> str:
        """Id of the node whose children the options are; `ROOT` at the top."""
        return self.path[-1] if self.path else ROOT


@dataclass
class Descent:
    """Where texts have come to.

    Attributes
    ----------
    paths
        N paths of node ids, from level 1 down.
    stops
        N reasons to stop: `leaf`, `neutral` or `no_winner`.
    agreement
        (N,) the smallest share of all judges that was for a step of the path; of a text without a path, the share that
        was for the leading option at the root.
    polls
        All batches of questions that were put, in order, each with what was said to it.
    """

    paths: list[tuple[str, ...]]
    stops: list[str]
    agreement: npt.NDArray[np.float64]
    polls: list[tuple[list[Ballot], Votes]] = field(default_factory=list)


def descend(theory: Theory, n: int, vote: Callable[[Sequence[Ballot]], Votes], rule: VotingRule) -> Descent:
    """Walk N texts down a hierarchy.

    In each step every text that is still on its way has one question before the panel, and all of them are asked
    together: of a text whose last vote had a winner, the children of that node; of one whose vote had none, the same
    children and Neutral. So there are at most two steps a level, however many texts there are. A node with a single
    child is asked about with Neutral at once: a vote with one option says nothing.

    Parameters
    ----------
    theory
        The hierarchy. A node with two parents is one node, and the path that was walked to it counts.
    n
        How many texts.
    vote
        Puts a batch of ballots to the panel.
    rule
        What decides.

    Returns
    -------
    Descent
    """
    children = {ROOT: theory.top}
    children |= {node: theory.children(node) for node in theory.nodes}
    done = Descent([()] * n, [""] * n, np.ones(n))
    ballots = [_first_ballot(text, (), children[ROOT]) for text in range(n)]
    while ballots:
        votes = vote(ballots)
        done.polls.append((ballots, votes))
        counts = count_votes(votes.choices, max(len(ballot.options) for ballot in ballots))
        shares = counts.max(axis=1) / votes.choices.shape[1]
        following = []
        for ballot, winner, share in zip(ballots, winners(counts, rule).tolist(), shares.tolist(), strict=True):
            after = _after(ballot, winner, children)
            if isinstance(after, Ballot):
                following.append(after)
            else:
                done.stops[ballot.text] = after
            chosen = ballot.options[winner] if winner != NO_WINNER else NEUTRAL
            if chosen != NEUTRAL:
                done.paths[ballot.text] = (*ballot.path, chosen)
            if chosen != NEUTRAL or not (ballot.path or isinstance(after, Ballot)):
                done.agreement[ballot.text] = min(done.agreement[ballot.text], share)
        ballots = following
    return done


def _first_ballot(text: int, path: tuple[str, ...], options: tuple[str, ...]) -> Ballot:
    if len(options) == 1:
        return Ballot(text, len(path) + 1, 2, path, (*options, NEUTRAL))
    return Ballot(text, len(path) + 1, 1, path, options)


def _after(ballot: Ballot, winner: int, children: dict[str, tuple[str, ...]]) -> Ballot | str:
    """Return the next question about a text, or why there is none."""
    if winner == NO_WINNER:
        if ballot.round == 2:
            return NO_WINNER_STOP
        return Ballot(ballot.text, ballot.level, 2, ballot.path, (*ballot.options, NEUTRAL))
    chosen = ballot.options[winner]
    if chosen == NEUTRAL:
        return NEUTRAL_STOP
    return _first_ballot(ballot.text, (*ballot.path, chosen), children[chosen]) if children[chosen] else LEAF
