"""Batches as they reach an engine, and what becomes of those that do not fit into it."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from valueflow import SteeredResponses, SurveyAnswers, steer
from valueflow.llm import Arrivals, Client, Completion, Conversation, PromptTooLong, Sampling, Stream, release
from valueflow.run import InputError


@dataclass
class Batch:
    conversations: list[Conversation]
    samplings: list[Sampling]


@dataclass
class Recorder:
    """A model that answers with its first option or a sentence, and takes prompts of so many characters."""

    longest: int = 10_000
    batches: list[Batch] = field(default_factory=list, compare=False)
    occupies_machine: ClassVar[bool] = False

    def identity(self) -> dict[str, object]:
        return {"engine": "recorder", "model": "recorder", "longest": self.longest}

    def start(self) -> "Recorder":
        return self

    def close(self) -> None:
        pass

    def stream(self, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling]) -> Stream:
        return Stream(self._groups(conversations, sampling))

    def _groups(
        self, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling]
    ) -> Generator[Arrivals, None, None]:
        samplings = [sampling] * len(conversations) if isinstance(sampling, Sampling) else list(sampling)
        self.batches.append(Batch(list(conversations), samplings))
        for index, conversation in enumerate(conversations):
            if len(conversation[-1]["content"]) > self.longest:
                raise PromptTooLong(index, f"{len(conversation[-1]['content'])} letters")
        yield [(i, Completion("A" if one.constraint else "So be it.", 3, 1)) for i, one in enumerate(samplings)]


@pytest.fixture(autouse=True)
def no_engine_stays() -> Iterator[None]:
    yield
    release()


def asked(model: Recorder, texts: Sequence[str], cache: Any = "off") -> list[Completion]:
    conversations: list[Conversation] = [({"role": "user", "content": text},) for text in texts]
    return Client(model, cache).ask(conversations, Sampling(), title="t", unit="u", progress=False)


def test_a_survey_s_passes_are_one_batch_each() -> None:
    model = Recorder()
    result = steer(preset="phi4", llm=model, cache="off", progress=False)
    assert isinstance(result, SurveyAnswers)
    assert [len(batch.conversations) for batch in model.batches] == [24, result.summary["profile_used"]]
    options = result.details["options"].str.count('", "').add(1).tolist()
    grammars = [one.constraint.grammar.count('"') // 2 for one in model.batches[0].samplings if one.constraint]
    assert grammars == options
    assert {(one.temperature, one.max_tokens) for batch in model.batches for one in batch.samplings} == {(0.0, 4)}


def test_queries_are_one_batch() -> None:
    model = Recorder()
    result = steer(value="power", intensity=2, llm=model, cache="off", progress=False)
    assert isinstance(result, SteeredResponses)
    assert [len(batch.conversations) for batch in model.batches] == [50]
    assert len(result.responses) == 50


@pytest.mark.parametrize("cache", ["off", "on"])
def test_one_that_is_too_long_costs_only_itself(cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path))
    texts = ["a", "b" * 99, "c", "d" * 50, "e"]
    completions = asked(Recorder(longest=20), texts, cache)
    assert [completion.text for completion in completions] == ["So be it.", "", "So be it.", "", "So be it."]
    assert [completion.error for completion in completions][1::2] == [
        "the prompt is too long: 99 letters",
        "the prompt is too long: 50 letters",
    ]


def test_a_model_that_most_prompts_do_not_fit_into_ends_the_run() -> None:
    assert sum(bool(one.error) for one in asked(Recorder(longest=1), ["bb"] * 20 + ["a"])) == 20
    with pytest.raises(InputError, match=r"more than 20 prompts are too long for model 'recorder'.*'bb': 2 letters"):
        asked(Recorder(longest=1), ["bb"] * 21 + ["a"])
