"""A language model as judge that is asked about one text at a time: it knows more than the rankings it can write."""

import logging
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BeforeValidator, Field, PrivateAttr, field_validator

from valueflow.judge.by_utility import rank_by_utility
from valueflow.judge.prompts import prompt_digest
from valueflow.judge.protocol import Criterion, Progress
from valueflow.judge.stances import STANCES, StancePrompt, StanceReading, stance_prompts, theory_of
from valueflow.judge.utilities import TextUtilities
from valueflow.judge.windows import RankedWindows, Windows, plain_lines
from valueflow.llm import (
    MAX_LOGPROBS,
    CacheMode,
    Client,
    Completion,
    Conversation,
    Sampling,
    Usage,
    cache_state,
    quote_text,
)
from valueflow.run import InputError, Recent, Settings
from valueflow.theory import Theory

_log = logging.getLogger(__name__)

_MOSTLY_OUTSIDE = 0.5
"""Share of probability on other words from which a model counts as one that does not answer with the words."""

MEMORY = 2**29
"""Bytes of questions with their answers that a judge keeps at most: 512 MiB, some 700,000 of short texts."""

_MEMORY_OF_TRUNCATED = 2**26
"""Bytes of the digests of truncated texts, by which each is counted once: 64 MiB, some 250,000 texts."""

_QUESTION_BYTES, _READING_BYTES = 160, 230
"""Of a question besides its text, and of one wording's answer."""

Question = tuple[str, str, str]
"""Theory, value and text."""


@dataclass(frozen=True)
class _Questions:
    """Different texts to be asked about, on one value of a theory."""

    theory: Theory
    value: str
    texts: tuple[str, ...]

    def key(self, text: str) -> Question:
        return self.theory.name, self.value, text


@dataclass(frozen=True)
class _Answer:
    """What was read of a text, one reading for each wording; none where `failure` says why."""

    readings: tuple[StanceReading, ...]
    failure: str


@dataclass
class _Totals:
    """What all answers so far say of the model: counted as they come, whether or not they are kept."""

    readings: int = 0
    outside: float = 0.0
    bounded: int = 0
    likeliest: Counter[str] = field(default_factory=Counter)
    truncated: int = 0

    def add(self, readings: Sequence[StanceReading]) -> None:
        for reading in readings:
            self.readings += 1
            self.outside += reading.outside
            self.bounded += reading.bounded
            self.likeliest[reading.likeliest] += 1


class LogprobJudge(Settings):
    """Asks a language model about each text once whether its speaker supports a value or opposes it.

    A text's utility is ``log p(support) - log p(oppose)`` of the answer's first word, averaged over the wordings; no
    answer is written. Windows are ranked by utility. `configs/judge/logprob.yaml` describes the settings.

    A judge keeps the answers that it used last, `MEMORY` bytes of them, so any number of texts may be read in batches.
    What a report says of the model is over all batches so far; a text that is asked about again after its answer was
    dropped counts again.
    """

    rankings_per_window: ClassVar[int] = 1

    llm: Any
    wordings: Annotated[tuple[StancePrompt, ...], BeforeValidator(stance_prompts)] = Field(min_length=1)
    cache: CacheMode = "on"
    max_text_bytes: int = Field(6000, ge=20, strict=True)

    # What was read before: rounds of windows ask nothing twice, whatever the cache does.
    _recent: Recent[Question, _Answer] = PrivateAttr(default_factory=lambda: Recent(MEMORY))
    _truncated: Recent[bytes, bool] = PrivateAttr(default_factory=lambda: Recent(_MEMORY_OF_TRUNCATED))
    _totals: _Totals = PrivateAttr(default_factory=_Totals)
    _warned: bool = PrivateAttr(default=False)
    _streams: bool = PrivateAttr(default=False)

    @field_validator("llm")
    @classmethod
    def _check_model(cls, llm: Any) -> Any:
        if not (hasattr(llm, "start") and hasattr(llm, "identity")):
            raise ValueError("is no chat model (an object with `start` and `identity`)")
        return llm

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        """Rank every window, the highest utility first; a window fails where one of its texts did.

        Raises
        ------
        InputError
            The model cannot be asked, or gives no log-probabilities.
        """
        value = windows.anchor_set.value
        theory = theory_of(windows.anchor_set.theory, value, criterion.theory)
        anchors = windows.anchor_set.texts[np.unique(windows.anchors)].tolist()
        responses = windows.response_texts[np.unique(windows.responses)].tolist()
        # A window counts as done once its response is read; the anchors, which windows share, are asked about first.
        waiting = Counter(windows.response_texts[windows.responses].tolist())
        asked = _Questions(theory, value, tuple(dict.fromkeys([*anchors, *responses])))
        usage, read = self._ask([asked], lambda text, note: progress(waiting.pop(text, 0), 0, note))
        ranked = rank_by_utility(windows, self._utilities(asked, read), report=self._report(usage))
        progress(0, int((~ranked.ranked).sum()))
        return ranked

    def text_utilities(self, criterion: Criterion, texts: Sequence[str], progress: Progress) -> TextUtilities:
        """Return the utilities of texts on the criterion's value; see `TextJudge`."""
        if self._streams:
            self._recent, self._truncated, self._totals = Recent(MEMORY), Recent(_MEMORY_OF_TRUNCATED), _Totals()
        asked = _Questions(criterion.theory, criterion.value, tuple(dict.fromkeys(texts)))
        usage, read = self._ask([asked], lambda _, note: progress(1, 0, note))
        return self._utilities(asked, read, self._report(usage))

    def anchor_utilities(self, criterion: Criterion, progress: Progress) -> tuple[TextUtilities, ...]:
        """Return the utilities of all anchors; see `TextJudge`.

        All sets are asked about in one batch, and each report is that of the batch.
        """
        questions = [
            _Questions(
                theory_of(anchors.theory, anchors.value, criterion.theory),
                anchors.value,
                tuple(dict.fromkeys(anchors.texts.tolist())),
            )
            for anchors in criterion.vidb.anchors
        ]
        usage, read = self._ask(questions, lambda _, note: progress(1, 0, note))
        report = self._report(usage)
        return tuple(self._utilities(asked, read, report) for asked in questions)

    def for_stream(self) -> "LogprobJudge":
        """Return this judge for texts without end; see `Streamable`.

        It remembers no answer beyond a call, so that what a call took does not depend on those before it, and does not
        tell the state of the cache, for which every entry is counted.
        """
        found = LogprobJudge(llm=self.llm, wordings=self.wordings, cache=self.cache, max_text_bytes=self.max_text_bytes)
        found._streams = True
        return found

    def conversations(self, criterion: Criterion, texts: Sequence[str]) -> list[Conversation]:
        """Return the questions about texts on the criterion's value, wording by wording."""
        shown = [quote_text(text, self.max_text_bytes)[0] for text in texts]
        theory, value = criterion.theory, criterion.value
        return [asked for prompt in self.wordings for asked in prompt.conversations(theory, value, shown)]

    def describe(self) -> dict[str, object]:
        """Return the model, how it is run and how it is asked."""
        asked = {
            "wordings": [prompt.name for prompt in self.wordings],
            "wording_digests": [prompt_digest(prompt) for prompt in self.wordings],
            "max_text_bytes": self.max_text_bytes,
        }
        return {"kind": "logprob", **self.llm.identity(), **asked}

    def _ask(
        self, questions: Sequence[_Questions], advance: Callable[[str, str], None]
    ) -> tuple[Usage, dict[Question, _Answer]]:
        """Ask about all texts whose answers are not kept, in one batch; tell of each text once it is read.

        Returns what asking took, and the answers to all questions.
        """
        read: dict[Question, _Answer] = {}
        conversations: list[Conversation] = []
        samplings: list[Sampling] = []
        requests: list[tuple[Question, int]] = []
        for asked in questions:
            # What could not be read before, as by a server that was down, is asked about again.
            new = []
            for text in asked.texts:
                answer = self._recent.get(asked.key(text))
                if answer is None or answer.failure:
                    new.append(text)
                else:
                    read[asked.key(text)] = answer
                    advance(text, "")
            shown = [quote_text(text, self.max_text_bytes) for text in new]
            self._count_truncated([text for text, (_, truncated) in zip(new, shown, strict=True) if truncated])
            for number, prompt in enumerate(self.wordings):
                conversations += prompt.conversations(asked.theory, asked.value, [text for text, _ in shown])
                samplings += [_sampling(prompt)] * len(new)
                requests += [(asked.key(text), number) for text in new]
        client = Client(self.llm, self.cache)
        if not conversations:
            return client.usage, read
        answered: dict[Question, dict[int, StanceReading | str]] = {}
        with client.stream(conversations, samplings) as answers:
            for index, completion in answers:
                key, number = requests[index]
                parts = answered.setdefault(key, {})
                parts[number] = self._reading(self.wordings[number], completion)
                if len(parts) == len(self.wordings):
                    read[key] = _joined([parts[place] for place in range(len(parts))])
                    self._keep(key, read[key])
                    advance(key[2], client.usage.note)
        return client.usage, read

    def _keep(self, key: Question, answer: _Answer) -> None:
        self._totals.add(answer.readings)
        size = sys.getsizeof(key[2]) + _QUESTION_BYTES + _READING_BYTES * len(answer.readings)
        self._recent.add(key, answer, size)

    def _count_truncated(self, texts: Sequence[str]) -> None:
        """Count each text once, however many values it is asked about on; by digests, since such texts are long."""
        for text in texts:
            digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            self._totals.truncated += self._truncated.get(digest) is None
            self._truncated.add(digest, True, sys.getsizeof(digest))

    def _reading(self, prompt: StancePrompt, completion: Completion) -> StanceReading | str:
        """Return what an answer says, or why it says nothing."""
        model = self.llm.identity()["model"]
        if completion.has_thought:
            raise InputError(
                f"judge=logprob: model '{model}' thinks before it answers, so its first token tells nothing of it; "
                "turn its thoughts off (for many llm.chat_template_kwargs={enable_thinking:false}), or use judge=llm"
            )
        if completion.error:
            return completion.error
        if not completion.logprobs:
            again = (
                f" (a cached answer: `valueflow-cache clear --model {model}` asks again)" if completion.cached else ""
            )
            raise InputError(
                f"judge=logprob: model '{model}' gives no log-probabilities{again}; transformers, OpenVINO, vLLM "
                "and its servers, and servers with top_logprobs do, but not where models think first "
                "(llm.answer_after); use judge=llm"
            )
        reading = prompt.read(completion.logprobs)
        if reading.bounded == len(STANCES):
            return f"the answer begins with none of the words {', '.join(STANCES)} (likeliest: {reading.likeliest!r})"
        return reading

    def _utilities(
        self, asked: _Questions, read: Mapping[Question, _Answer], report: dict[str, object] | None = None
    ) -> TextUtilities:
        answers = [read[asked.key(text)] for text in asked.texts]
        # (texts, wordings, 4), NaN where a text could not be read.
        nothing = [(np.nan,) * 4] * len(self.wordings)
        rows = np.array([[_row(one) for one in answer.readings] or nothing for answer in answers]).mean(axis=1)
        support, oppose, neutral, outside = rows.T
        return TextUtilities(
            theory=asked.theory.name,
            value=asked.value,
            texts=np.array([*asked.texts, None], dtype=object)[:-1],
            utility=support - oppose,
            failures=plain_lines(np.array([*(answer.failure for answer in answers), None], dtype=object)[:-1]),
            details={"support": support, "oppose": oppose, "neutral": neutral, "outside": outside},
            report=report or {},
        )

    def _report(self, usage: Usage) -> dict[str, object]:
        """Return what asking took, and how far the model keeps to the words, over all that was read so far."""
        totals = self._totals
        outside = totals.outside / totals.readings if totals.readings else np.nan
        likeliest = totals.likeliest.most_common(1)
        if outside > _MOSTLY_OUTSIDE and not self._warned:
            self._warned = True
            _log.warning(
                "model '%s' does not answer with the words of %s: %.0f%% of the probability is on others (most often "
                "%r); its log-odds mean little",
                self.llm.identity()["model"],
                ", ".join(prompt.name for prompt in self.wordings),
                100 * outside,
                likeliest[0][0],
            )
        return {
            **usage.as_dict(),
            "texts_truncated": totals.truncated,
            "share_outside_words": outside,
            "likeliest_word": likeliest[0][0] if likeliest else None,
            "words_bounded": totals.bounded,
            **({} if self._streams else {"cache": cache_state(self.cache)}),
        }


def _sampling(prompt: StancePrompt) -> Sampling:
    return Sampling(temperature=0.0, max_tokens=1, seed=0, top_logprobs=MAX_LOGPROBS, words=prompt.every_word)


def _joined(parts: Sequence[StanceReading | str]) -> _Answer:
    """Join the wordings of one text: it fails where one of them does."""
    failure = next((part for part in parts if isinstance(part, str)), "")
    return _Answer(() if failure else tuple(part for part in parts if not isinstance(part, str)), failure)


def _row(reading: StanceReading) -> tuple[float, float, float, float]:
    return reading.support, reading.oppose, reading.neutral, reading.outside
