"""One pass over a survey: asking, and reading of each answer its option and its distribution over the options."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from valueflow.llm import MAX_LOGPROBS, Client, Completion, Conversation, Sampling
from valueflow.opinionqa.answers import letter_constraint, read_option
from valueflow.opinionqa.distributions import MIN_LETTER_MASS, Shares, letter_shares, tally
from valueflow.opinionqa.questions import LETTERS, SurveyQuestion
from valueflow.opinionqa.settings import SurveySettings
from valueflow.run import shorten

Source = Literal["logprobs", "samples", "chosen", "none"]

_PLACES = 6
"""Decimals of the shares in the table."""


@dataclass(frozen=True)
class Answer:
    """A model's answer to a question.

    Attributes
    ----------
    completion
        What it said.
    option
        Which option that is; None where it is none.
    shares
        Its distribution over the options; empty where there is none.
    source
        What that was read from: log-probabilities of letters, samples, the chosen option alone, or nothing.
    letter_mass
        Probability of all letters together, NaN where there are no log-probabilities.
    """

    completion: Completion
    option: int | None
    shares: Shares
    source: Source
    letter_mass: float


@dataclass(frozen=True)
class Pass:
    """The answers of one pass, N of each; a question that no profile was used for has the default pass's answer."""

    items: Sequence[SurveyQuestion]
    answers: Sequence[Answer]

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether each answer is a most frequent one of its group."""
        pairs = zip(self.items, self.answers, strict=True)
        return np.array([answer.option in item.most_frequent for item, answer in pairs], dtype=np.bool_)

    def columns(self, name: str) -> dict[str, Sequence[object]]:
        """Return what the table of details says of the pass."""
        answers = self.answers
        return {
            f"{name}_answer": [answer.completion.text for answer in answers],
            f"{name}_option": ["" if answer.option is None else LETTERS[answer.option] for answer in answers],
            f"{name}_right": self.right.tolist(),
            f"{name}_failure": [shorten(answer.completion.error, 300) for answer in answers],
        }

    def distribution_columns(self, name: str) -> dict[str, Sequence[object]]:
        """Return what the table of details says of the pass's distributions."""
        return {
            f"{name}_distribution": [
                json.dumps([round(share, _PLACES) for share in answer.shares]) if answer.shares else ""
                for answer in self.answers
            ],
            f"{name}_distribution_from": [answer.source for answer in self.answers],
            f"{name}_letter_mass": [answer.letter_mass for answer in self.answers],
        }

    def counts(self) -> dict[str, object]:
        """Return how many answers failed or name no option, with reasons."""
        errors = [answer.completion.error for answer in self.answers]
        failures = Counter(shorten(error, 300) for error in errors if error)
        failed = failures.total()
        return {
            "unparsable": sum(answer.option is None for answer in self.answers) - failed,
            "failed": failed,
            "failures": dict(failures.most_common()),
        }

    def distribution_counts(self) -> dict[str, int]:
        """Return how many distributions are from what, and how many log-probabilities were of little use."""
        sources = Counter(answer.source for answer in self.answers)
        masses = [answer.letter_mass for answer in self.answers]
        return {
            **{source: sources[source] for source in ("logprobs", "samples", "chosen", "none")},
            "without_logprobs": sum(math.isnan(mass) for mass in masses),
            "few_letters": sum(mass < MIN_LETTER_MASS for mass in masses),
        }


def ask_pass(
    client: Client,
    settings: SurveySettings,
    items: Sequence[SurveyQuestion],
    prompts: Mapping[int, Conversation],
    name: str,
) -> dict[int, Answer]:
    """Ask one pass in one batch, and the samples that it needs in another; all by the index of their item."""
    survey = settings.opinionqa
    samplings = {
        index: Sampling(
            temperature=settings.temperature,
            max_tokens=survey.max_tokens,
            seed=settings.seed if settings.temperature > 0 else 0,
            constraint=letter_constraint(len(items[index].options)),
            top_logprobs=MAX_LOGPROBS if survey.logprobs else 0,
        )
        for index in prompts
    }

    def ask(indices: Sequence[int], drawn: Sequence[Sampling], title: str) -> list[Completion]:
        conversations = [prompts[index] for index in indices]
        return client.ask(conversations, drawn, title=title, unit="answers", progress=settings.progress)

    completions = ask(list(prompts), list(samplings.values()), f"{settings.preset}, {name} pass")
    answers = {index: _read(items[index], completion) for index, completion in zip(prompts, completions, strict=True)}
    lacking = [index for index, answer in answers.items() if answer.source in ("chosen", "none")]
    lacking = [index for index in lacking if not answers[index].completion.error]
    if not survey.samples or not lacking:
        return answers
    repeated = [index for index in lacking for _ in range(survey.samples)]
    drawn = [
        replace(samplings[index], temperature=settings.temperature or 1.0, seed=settings.seed + draw, top_logprobs=0)
        for index in lacking
        for draw in range(1, survey.samples + 1)
    ]
    sampled = ask(repeated, drawn, f"{settings.preset}, {name} pass, samples")
    for place, index in enumerate(lacking):
        mine = sampled[place * survey.samples : (place + 1) * survey.samples]
        shares = tally((_option(items[index], completion) for completion in mine), len(items[index].options))
        if shares:
            answers[index] = replace(answers[index], shares=shares, source="samples")
    return answers


def _read(item: SurveyQuestion, completion: Completion) -> Answer:
    option, n_options = _option(item, completion), len(item.options)
    shares: Shares = ()
    mass = math.nan
    if completion.logprobs is not None:
        shares, mass = letter_shares(completion.logprobs, n_options)
        if mass >= MIN_LETTER_MASS:
            return Answer(completion, option, shares, "logprobs", mass)
    chosen = tally([option], n_options)
    return Answer(completion, option, chosen, "chosen" if chosen else "none", mass)


def _option(item: SurveyQuestion, completion: Completion) -> int | None:
    if completion.error:
        return None
    return read_option(completion.text, item.options, truncated=completion.truncated)
