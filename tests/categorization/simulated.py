"""Judges whose accuracy is known, and a model that answers by a rule."""

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from valueflow.llm import Arrivals, Completion, Conversation, Sampling, Stream


@dataclass
class Scripted:
    """A chat model that answers what a function makes of the user's message and the sampling's seed."""

    name: str
    # Engines are kept by their models: a test must not be answered by another one's rule.
    answer: Callable[[str, int], str | Completion]
    batches: list[list[str]] = field(default_factory=list, compare=False)
    samplings: list[Sampling] = field(default_factory=list, compare=False)
    order: list[str] = field(default_factory=list, compare=False)
    occupies_machine: ClassVar[bool] = False

    def identity(self) -> dict[str, object]:
        return {"engine": "scripted", "model": self.name}

    def start(self) -> "Scripted":
        return self

    def close(self) -> None:
        pass

    def stream(self, conversations: Sequence[Conversation], sampling: Sequence[Sampling]) -> Stream:
        return Stream(self._groups(conversations, sampling))

    def _groups(
        self, conversations: Sequence[Conversation], sampling: Sequence[Sampling]
    ) -> Generator[Arrivals, None, None]:
        said = [str(conversation[-1]["content"]) for conversation in conversations]
        self.batches.append(said)
        self.samplings += sampling
        self.order.append(self.name)
        answers = [self.answer(text, one.seed) for text, one in zip(said, sampling, strict=True)]
        completions = [answer if isinstance(answer, Completion) else Completion(answer, 3, 1) for answer in answers]
        yield list(enumerate(completions))


def options_in(question: str) -> list[str]:
    """Return the names of the options in the order shown."""
    return re.findall(r"^- (.+?): ", question, flags=re.MULTILINE)


def text_in(question: str) -> str:
    found = re.search(r"^\"(.*)\"$", question, flags=re.MULTILINE)
    assert found is not None
    return found[1]
