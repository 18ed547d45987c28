"""A language model as judge."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from valueflow.judge.answers import permutation_constraint
from valueflow.judge.prompts import RankingPrompt, ValuePrompt, prompt_digest
from valueflow.judge.protocol import Criterion, Progress
from valueflow.judge.reading import read_ranking
from valueflow.judge.windows import RankedWindows, Windows
from valueflow.llm import (
    Arrivals,
    CacheMode,
    Client,
    Completion,
    Conversation,
    LazySequence,
    PromptsTooLongError,
    Sampling,
    cache_state,
    is_too_long,
    quote_text,
)
from valueflow.run import InputError, PositiveInt, Seed, Settings, shorten


class LLMJudge(Settings):
    """Asks a language model for a ranking of each window, all windows of a run in one batch.

    An answer that cannot be read is asked for once more, with what was wrong; a second such answer is a failure with
    its reason. With an engine that constrains answers neither happens. `configs/judge/llm.yaml` describes the settings.
    """

    rankings_per_window: ClassVar[int] = 1

    llm: Any
    prompt: RankingPrompt
    cache: CacheMode = "on"
    seed: Seed = 42
    temperature: float = Field(0.0, ge=0, allow_inf_nan=False)
    max_tokens: PositiveInt = 50
    max_text_bytes: int = Field(6000, ge=20, strict=True)

    @field_validator("llm")
    @classmethod
    def _check_model(cls, llm: Any) -> Any:
        if not (hasattr(llm, "start") and hasattr(llm, "identity")):
            raise ValueError("is no chat model (an object with `start` and `identity`)")
        return llm

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        """Rank every window.

        Raises
        ------
        InputError
            The model cannot be asked at all, or a prompt is longer than it takes.
        """
        if self.max_tokens < 2 * windows.k + 1:
            raise InputError(
                f"judge.max_tokens={self.max_tokens} cannot hold a ranking of k={windows.k} items: a number and a "
                f"comma each, and two brackets; give {4 * windows.k} or more"
            )
        prompt = self.prompt.about(criterion.theory, criterion.value)
        conversations, texts_truncated = self.conversations(prompt, windows)
        client = Client(self.llm, self.cache)
        reading = _Reading(windows, progress)
        try:
            self._ask(client, range(len(windows)), conversations, reading, is_last=False)
        except PromptsTooLongError as error:
            text = windows.response_texts[windows.responses[error.index]]
            raise InputError(
                f"the prompt about the response '{shorten(text)}' is too long for model "
                f"'{self.llm.identity()['model']}': {error.detail}; set judge.max_text_bytes (now "
                f"{self.max_text_bytes}) or k (now {windows.k}) lower"
            ) from error
        if again := sorted(reading.faults):
            questions = [
                prompt.again(conversations[window], reading.answers[window], reading.faults[window], windows.k)
                for window in again
            ]
            self._ask(client, again, questions, reading, is_last=True)
        report = {
            **client.usage.as_dict(),
            "asked_again": len(again),
            "texts_truncated": texts_truncated,
            "cache": cache_state(self.cache),
        }
        return windows.ranked(reading.orders(), reading.failures, report=report)

    def describe(self) -> dict[str, object]:
        """Return the model, how it is run and how it is asked."""
        prompt = {"prompt": self.prompt.name, "prompt_digest": prompt_digest(self.prompt)}
        asked = {**prompt, "temperature": self.temperature, "max_tokens": self.max_tokens}
        return {"kind": "llm", **self.llm.identity(), **asked, "max_text_bytes": self.max_text_bytes}

    def conversations(self, prompt: ValuePrompt, windows: Windows) -> tuple[Sequence[Conversation], int]:
        """Return the question about each window, worded as it is asked, and how many different texts are truncated."""
        shown: dict[str, tuple[str, bool]] = {}

        def show(text: str) -> str:
            if text not in shown:
                shown[text] = quote_text(text, self.max_text_bytes)
            return shown[text][0]

        # Only the texts that some window holds are shown, so only these are counted.
        responses = {
            response: show(windows.response_texts[response]) for response in np.unique(windows.responses).tolist()
        }
        anchors = {anchor: show(windows.anchor_set.texts[anchor]) for anchor in np.unique(windows.anchors).tolist()}

        def conversation(window: int) -> Conversation:
            chosen = windows.anchors[window].tolist()
            items = [responses[int(windows.responses[window])], *(anchors[anchor] for anchor in chosen)]
            return prompt.conversation([items[number - 1] for number in windows.prompt_order[window].tolist()])

        return LazySequence(len(windows), conversation), sum(is_truncated for _, is_truncated in shown.values())

    def _ask(
        self,
        client: Client,
        which: Sequence[int],
        conversations: Sequence[Conversation],
        reading: "_Reading",
        *,
        is_last: bool,
    ) -> None:
        sampling = Sampling(
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            # It decides nothing at temperature 0; completions cached under one seed serve all.
            seed=self.seed if self.temperature > 0 else 0,
            constraint=permutation_constraint(reading.k),
        )
        # A second question, which is longer, may not fit where the first one did: that window fails, the others go on.
        with client.stream(conversations, sampling, most_too_long=len(which) if is_last else 0) as answers:
            for arrivals in answers.groups:
                read = [(which[index], completion) for index, completion in arrivals]
                reading.add(read, client.usage.note, is_last=is_last)


class _Reading:
    """Rankings as they are read from answers."""

    def __init__(self, windows: Windows, progress: Progress) -> None:
        self.failures = np.full(len(windows), "", dtype=object)
        self.answers: dict[int, str] = {}
        self.faults: dict[int, str] = {}
        self._shown = np.zeros((len(windows), windows.k), dtype=np.int64)
        self._windows = windows
        self._progress = progress

    def add(self, arrivals: Arrivals, note: str, *, is_last: bool) -> None:
        """Read answers; a window counts as done once it is ranked or has finally failed."""
        outcomes = Counter(self._read(window, completion, is_last=is_last) for window, completion in arrivals)
        self._progress(outcomes["ranked"] + outcomes["failed"], outcomes["failed"], note)

    @property
    def k(self) -> int:
        """Items in a window."""
        return self._windows.k

    def orders(self) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        """Return the item numbers of each window: what a prompt showed first is item `prompt_order[0]`."""
        items = np.take_along_axis(self._windows.prompt_order, np.maximum(self._shown - 1, 0), axis=1)
        return np.where(self._shown > 0, items, 0)

    def _read(self, window: int, completion: Completion, *, is_last: bool) -> str:
        order, fault = read_ranking(completion.text, self.k, truncated=completion.truncated)
        if not completion.error and not order and not is_last:
            self.answers[window], self.faults[window] = completion.text, fault
            return "to be asked again"
        first_fault = self.faults.pop(window, "")
        if order and not completion.error:
            self._shown[window] = order
            return "ranked"
        self.failures[window] = first_fault if is_too_long(completion) else completion.error or fault
        return "failed"
