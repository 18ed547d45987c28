"""A panel of language models looks at the ratings: whether one is odd for its text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.construction.settings import CheckWording
from valueflow.llm import CacheMode, Usage, quote_text
from valueflow.run import split_keys
from valueflow.theory import Theory
from valueflow.voting import ABSTAINED, NO_WINNER, Option, Panel, Polling, PollQuestion, count_votes, winners

ODD, PLAUSIBLE = "odd", "plausible"
_OPTIONS = (ODD, PLAUSIBLE)

_SALT = np.uint64(0x9E6C63D0876A9A47)
"""Keeps the orders of the options apart from draws of windows, which have the same keys."""


@dataclass(frozen=True)
class Checked:
    """What a panel said of N ratings.

    Attributes
    ----------
    is_odd
        (N,) whether the panel found a rating odd, by its rule.
    odd_votes
        (N,) how many judges did.
    undecided
        Ratings without a winner; they count as plausible.
    abstentions
        Votes that could not be used.
    usage
        What asking took.
    """

    is_odd: npt.NDArray[np.bool_]
    odd_votes: npt.NDArray[np.int64]
    undecided: int
    abstentions: int
    usage: Usage


def check_ratings(
    panel: Panel,
    wording: CheckWording,
    theory: Theory,
    value: str,
    texts: Sequence[str],
    ratings: npt.NDArray[np.float64],
    keys: npt.NDArray[np.uint64],
    *,
    cache: CacheMode,
    seed: int,
    progress: bool,
) -> Checked:
    """Show each judge of a panel every (value, text, rating), and have it say whether the rating is odd.

    Parameters
    ----------
    panel, wording
        Who is asked, and how.
    theory, value
        What is rated.
    texts, ratings, keys
        (N,) texts, their ratings in [-10, 10], and a key for each, of which the orders of the options are drawn.
    cache, seed, progress
        As in the settings.

    Raises
    ------
    InputError
        A model cannot be used at all.
    """
    polling = Polling(panel, wording.system, cache, seed, wording.max_tokens, progress)
    node = theory.nodes[value]
    options = tuple(Option(name, name, wording.options[name]) for name in _OPTIONS)
    own = split_keys(keys ^ _SALT, 1)[:, 0]
    common = {"theory": theory.title, "label": theory.label, "value": node.label, "definition": node.definition}
    questions = [
        PollQuestion(
            key, common | {"text": quote_text(text, wording.max_text_bytes)[0], "rating": f"{rating:+.1f}"}, options
        )
        for key, text, rating in zip(own, texts, ratings.tolist(), strict=True)
    ]
    votes = polling.ask(wording.question, questions, f"{theory.name}/{value}, check").choices
    counts = count_votes(votes, len(_OPTIONS))
    won = winners(counts, panel.rule)
    return Checked(
        is_odd=won == _OPTIONS.index(ODD),
        odd_votes=counts[:, _OPTIONS.index(ODD)],
        undecided=int((won == NO_WINNER).sum()),
        abstentions=int((votes == ABSTAINED).sum()),
        usage=polling.usage,
    )
