"""Every vote pattern of seven judges against a literal reading of the rule, in both rounds."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.categorization.descent import LEAF, NEUTRAL, NEUTRAL_STOP, NO_WINNER_STOP, Ballot, descend
from valueflow.run import InputError
from valueflow.theory import Theory
from valueflow.voting import ABSTAINED, NO_WINNER, Votes, VotingRule, count_votes, winners

SEVEN = VotingRule(5, 2)


def oracle(votes: tuple[int, ...], accept: int = 5, lead: int = 2) -> int:
    """Read the rule aloud: who has most votes, has it enough of them, or is it far enough ahead of the second?"""
    tally = Counter(vote for vote in votes if vote != ABSTAINED).most_common()
    if not tally:
        return NO_WINNER
    leader, most = tally[0]
    runner_up = tally[1][1] if len(tally) > 1 else 0
    if runner_up == most:
        return NO_WINNER
    if most >= accept or most - runner_up >= lead:
        return leader
    return NO_WINNER


@pytest.mark.parametrize("options", [3, 4], ids=["first round", "second round, with Neutral"])
def test_every_pattern_of_seven_judges(options: int) -> None:
    patterns = list(product(range(-1, options), repeat=7))
    assert len(patterns) == (options + 1) ** 7
    decided = winners(count_votes(np.array(patterns), options), SEVEN)
    expected = [oracle(pattern) for pattern in patterns]
    assert decided.tolist() == expected
    assert 0.1 < np.mean(decided == NO_WINNER) < 0.9


def flat_theory(n: int) -> Theory:
    nodes = {f"n{number}": {"label": f"node {number}", "definition": "x"} for number in range(n)}
    return Theory.model_validate(
        {"name": "t", "title": "T", "label": "v", "source": "s", "values": ["n0"], "nodes": nodes}
    )


def outcome_of(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[str, tuple[str, ...]]:
    """What becomes of a text by the design: a second round only without a winner, and Neutral or none then stops it."""
    names = ("n0", "n1", "n2", "")
    winner = oracle(first)
    if winner == NO_WINNER:
        winner = oracle(second)
        if winner == NO_WINNER:
            return NO_WINNER_STOP, ()
        if names[winner] == "":
            return NEUTRAL_STOP, ()
    return LEAF, (names[winner],)


def test_both_rounds_together() -> None:
    draws = np.random.default_rng(0)
    pairs = [(tuple(draws.integers(-1, 3, 7).tolist()), tuple(draws.integers(-1, 4, 7).tolist())) for _ in range(5_000)]

    def vote(ballots: list[Ballot]) -> Votes:
        choices = np.array([pairs[ballot.text][ballot.round - 1] for ballot in ballots])
        assert all((ballot.options[-1] == NEUTRAL) == (ballot.round == 2) for ballot in ballots)
        blank = np.full(choices.shape, "", dtype=object)
        return Votes(choices, blank, blank)

    done = descend(flat_theory(3), len(pairs), vote, SEVEN)
    got = list(zip(done.stops, done.paths, strict=True))
    assert got == [outcome_of(*pair) for pair in pairs]
    assert {stop for stop, _ in got} == {LEAF, NEUTRAL_STOP, NO_WINNER_STOP}


@given(
    st.lists(st.integers(-1, 4), min_size=1, max_size=15),
    st.integers(1, 15),
    st.integers(1, 15),
)
def test_any_panel_and_any_thresholds(votes: list[int], accept: int, lead: int) -> None:
    decided = winners(count_votes(np.array([votes]), 5), VotingRule(accept, lead))
    tally = Counter(vote for vote in votes if vote >= 0)
    expected = oracle(tuple(votes), accept, lead)
    assert decided.tolist() == [expected]
    assert expected == NO_WINNER or tally[expected] == max(tally.values())


@pytest.mark.parametrize(
    ("judges", "accept", "lead"), [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 3, 2), (5, 4, 2), (7, 5, 2), (14, 10, 4)]
)
def test_thresholds_in_proportion(judges: int, accept: int, lead: int) -> None:
    assert VotingRule.of(judges) == VotingRule(accept, lead)


def test_given_thresholds_stand() -> None:
    assert VotingRule.of(7, accept=4, lead=7) == VotingRule(4, 7)
    assert VotingRule.of(7, lead=1) == VotingRule(5, 1)


@pytest.mark.parametrize("given_", [{"accept": 8}, {"accept": 0}, {"lead": 8}, {"lead": -1}])
def test_thresholds_no_panel_could_reach(given_: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"give 1 to 7 votes, as the panel has 7 judges"):
        VotingRule.of(7, **given_)
