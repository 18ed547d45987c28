"""How much a question has to do with a theory's values, asked of a chat model."""

import logging
import math
from collections.abc import Mapping, Sequence

import numpy as np

from valueflow.llm import MAX_LOGPROBS, Client, Completion, Conversation, Sampling, begins, escape_special_tokens, fill
from valueflow.opinionqa.questions import SurveyQuestion
from valueflow.opinionqa.relevance import FloatArray, Relevance, told_apart
from valueflow.opinionqa.settings import SurveySettings
from valueflow.run import InputError
from valueflow.theory import Theory

YES, NO = "yes", "no"

_log = logging.getLogger(__name__)


def ask_relevance(client: Client, settings: SurveySettings, items: Sequence[SurveyQuestion]) -> Relevance:
    """Ask of each different question and each value of the theory whether the value bears on the answer.

    The score is the highest over the values of log p(yes) - log p(no), the probabilities of the answer's first word. An
    answer that begins with neither word gives none; a question without any score has no relevance.

    Raises
    ------
    InputError
        The model gives no log-probabilities.
    """
    texts = told_apart(items)
    distinct = list(dict.fromkeys(texts))
    values = settings.theory.values
    conversations = [_conversation(settings, settings.theory, value, text) for text in distinct for value in values]
    sampling = Sampling(temperature=0.0, max_tokens=1, seed=0, top_logprobs=MAX_LOGPROBS, words=(YES, NO))
    completions = client.ask(
        conversations, sampling, title=f"{settings.preset}, relevance", unit="answers", progress=settings.progress
    )
    model = str(settings.llm.identity()["model"])
    odds = np.array([_log_odds(completion, model) for completion in completions]).reshape(len(distinct), len(values))
    unread = int(np.isnan(odds).sum())
    if unread:
        _log.warning("relevance: %d of %d answers begin with neither %s nor %s", unread, odds.size, YES, NO)
    highest = dict(zip(distinct, _highest(odds).tolist(), strict=True))
    scores = np.array([highest[text] for text in texts])
    lacking = int(np.isnan(scores).sum())
    return Relevance(scores, f"asked of {model}", True, {"no score": lacking} if lacking else {})


def _highest(odds: FloatArray) -> FloatArray:
    """Return the highest of each row that is a number; NaN where none is."""
    highest = np.where(np.isnan(odds), -math.inf, odds).max(axis=1)
    return np.where(np.isinf(highest), math.nan, highest)


def _conversation(settings: SurveySettings, theory: Theory, value: str, question: str) -> Conversation:
    node = theory.nodes[value]
    words = {
        "question": escape_special_tokens(" ".join(question.split())),
        "value": node.label,
        "definition": node.definition,
        "label": theory.label,
        "theory": theory.title,
    }
    return ({"role": "user", "content": fill(settings.opinionqa.relevance_prompt, words)},)


def _log_odds(completion: Completion, model: str) -> float:
    if completion.error:
        return math.nan
    if completion.has_thought or not completion.logprobs:
        raise InputError(
            f"opinionqa.relevance_by=llm: model '{model}' gives no log-probabilities of its first word; use "
            "relevance_by=encoder, or a model that does (transformers, OpenVINO, vLLM and its servers; thoughts "
            "turned off)"
        )
    yes, no = (_probability(completion.logprobs, word) for word in (YES, NO))
    if yes == no == 0:
        return math.nan
    # A word of which no token is listed has at most the probability of the least likely one that is.
    least = math.exp(min(completion.logprobs.values()))
    return math.log(yes or least) - math.log(no or least)


def _probability(logprobs: Mapping[str, float], word: str) -> float:
    return math.fsum(math.exp(logprob) for token, logprob in logprobs.items() if begins(token, word))
