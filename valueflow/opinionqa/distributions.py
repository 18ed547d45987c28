"""Distributions of answers over a question's options: from log-probabilities, samples, or a choice."""

import math
import re
from collections.abc import Iterable, Mapping

from valueflow.opinionqa.questions import LETTERS

MIN_LETTER_MASS = 0.2
"""Least probability of all letters together with which their log-probabilities are a distribution of answers.

Small models put only half on letters (SmolLM2-135M .4 to .8), and what they say of the letters is meant all the same.
"""

_LETTER = re.compile(r"\s*[(\[\"'*]*([A-Za-z])[)\]\"'*.:,]*\s*")

Shares = tuple[float, ...]


def letter_shares(logprobs: Mapping[str, float], n_options: int) -> tuple[Shares, float]:
    """Read the distribution over options from the log-probabilities of an answer's first token.

    Parameters
    ----------
    logprobs
        Of tokens, by their text. All tokens that spell a letter count for its option: `B`, ` B`, `b`, `B.`, `(B`.
    n_options
        Options of the question.

    Returns
    -------
    shares
        One an option, adding up to 1. A letter that is not among the tokens has 0. Empty where no letter is.
    mass
        The probability of all letters together, in [0, 1]; the rest went to tokens that name no option.
    """
    sums = [0.0] * n_options
    for token, logprob in logprobs.items():
        match = _LETTER.fullmatch(token)
        option = LETTERS.index(match[1].upper()) if match else n_options
        if option < n_options:
            sums[option] += math.exp(min(logprob, 0.0))
    mass = math.fsum(sums)
    return (tuple(share / mass for share in sums) if mass > 0 else ()), min(mass, 1.0)


def tally(options: Iterable[int | None], n_options: int) -> Shares:
    """Return the shares of the options among answers; answers that name none do not count. Empty where none counts."""
    chosen = [option for option in options if option is not None]
    return tuple(chosen.count(option) / len(chosen) for option in range(n_options)) if chosen else ()
