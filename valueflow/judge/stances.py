"""Prompts that ask where the speaker of one text stands, and how the answer's first token is read."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import PrivateAttr, field_validator, model_validator

from valueflow.llm import Message, begins, check_places, fill
from valueflow.run import Settings, built, compose_group, shorten
from valueflow.theory import Theory, known_theories

STANCES = ("support", "oppose", "neutral")

_PLACES = {
    "system": ("theory", "label", "value", "definition"),
    "user": ("theory", "label", "value", "definition", "text"),
}


@dataclass(frozen=True, slots=True)
class StanceReading:
    """What the first token of one answer says.

    Attributes
    ----------
    support, oppose, neutral
        Log-probabilities.
    bounded
        Of how many of them it is an upper bound: no token of the stance was among those listed.
    outside
        Share of probability on tokens that begin no word.
    likeliest
        The likeliest token, as the model writes it.
    """

    support: float
    oppose: float
    neutral: float
    bounded: int
    outside: float
    likeliest: str


class StancePrompt(Settings):
    """How a language model is asked about one text; `configs/prompt/stance.yaml` describes it."""

    name: str
    system: str
    user: str
    words: dict[str, tuple[str, ...]]

    # By token: a model's vocabulary at most, whatever is read.
    _stances: dict[str, int | None] = PrivateAttr(default_factory=dict)

    @field_validator("words")
    @classmethod
    def _check_words(cls, words: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        if set(words) != set(STANCES) or not all(words.values()):
            raise ValueError(f"give the words of {', '.join(STANCES)}, one or more each")
        every = [word for spellings in words.values() for word in spellings]
        for word in every:
            if not word.strip() or word != word.strip():
                raise ValueError(f"'{word}' is no word: it is blank, or has blanks around it")
        if len({word.casefold() for word in every}) < len(every):
            raise ValueError("a word is listed twice; upper and lower case are the same")
        return words

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        for field, known in _PLACES.items():
            check_places(field, getattr(self, field), known)
        if self.user.count("{text}") != 1:
            raise ValueError("user must hold {text} once: the text's place")
        return self

    @property
    def every_word(self) -> tuple[str, ...]:
        """All words of all stances."""
        return tuple(word for stance in STANCES for word in self.words[stance])

    def conversations(self, theory: Theory, value: str, texts: Iterable[str]) -> list[tuple[Message, ...]]:
        """Ask about each text, given as a quoted text, on a value by its id.

        A value that no theory at hand knows, as one of a foreign VIDB, is asked about by its bare name.
        """
        node = theory.nodes.get(value)
        words = {
            "theory": theory.title,
            "label": theory.label,
            "value": node.label if node else value.replace("_", " ").replace("-", " "),
            "definition": node.definition if node else "",
        }
        system = fill(self.system, words)
        first: tuple[Message, ...] = ({"role": "system", "content": system},) if system else ()
        return [(*first, {"role": "user", "content": fill(self.user, {**words, "text": text})}) for text in texts]

    def read(self, logprobs: Mapping[str, float]) -> StanceReading:
        """Sum the probabilities of the tokens that begin a word of each stance.

        A token that begins words of two stances counts for neither. A stance of which no token is listed has at most
        the probability of the least likely token that is: it is given that one, and counted as bounded.

        Parameters
        ----------
        logprobs
            Log-probabilities of first tokens by their text, one or more.
        """
        sums = [-math.inf] * len(STANCES)
        for token, logprob in logprobs.items():
            if (stance := self._stance_begun_by(token)) is not None:
                sums[stance] = float(np.logaddexp(sums[stance], logprob))
        least = min(logprobs.values())
        support, oppose, neutral = (least if math.isinf(total) else total for total in sums)
        return StanceReading(
            support,
            oppose,
            neutral,
            bounded=sum(map(math.isinf, sums)),
            outside=max(0.0, 1.0 - sum(map(math.exp, sums))),
            likeliest=max(logprobs, key=lambda token: logprobs[token]),
        )

    def _stance_begun_by(self, token: str) -> int | None:
        if token not in self._stances:
            begun = [place for place, stance in enumerate(STANCES) if _begins_any(token, self.words[stance])]
            self._stances[token] = begun[0] if len(begun) == 1 else None
        return self._stances[token]


def _begins_any(token: str, words: Iterable[str]) -> bool:
    return any(begins(token, word) for word in words)


def stance_prompts(wordings: Sequence[object]) -> tuple[StancePrompt, ...]:
    """Return prompts given as objects, or by the names of options of the group `prompt`.

    Raises
    ------
    ValueError
        There is no such option, or it asks for rankings.
    """
    prompts = []
    for wording in wordings:
        prompt = built(compose_group("prompt", wording)) if isinstance(wording, str) else wording
        if not isinstance(prompt, StancePrompt):
            raise ValueError(
                f"'{shorten(str(wording))}' asks about no single text; stance and stance_reversed do, and "
                "files like configs/prompt/stance.yaml"
            )
        prompts.append(prompt)
    return tuple(prompts)


def theory_of(name: str, value: str, asked: Theory) -> Theory:
    """Return the theory of an anchor set: of those at hand the one that knows its value, else the one asked about."""
    known = (theory for theory in (asked, *known_theories()) if theory.name == name and value in theory.nodes)
    return next(known, asked)
