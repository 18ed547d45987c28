"""What of a model's words is the answer, and what are thoughts."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.llm import (
    CUT_IN_THOUGHTS,
    Client,
    Completion,
    Conversation,
    Sampling,
    Stream,
    release,
    without_thoughts,
)
from valueflow.llm.engines.chat_template import marks_are_special, opened_thoughts
from valueflow.llm.engines.thoughts import encodable, read_answer
from valueflow.llm.prompting import leaving_empty, opened_by

MARKS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<Thinking>", "</Thinking >"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ('<reasoning effort="high">', "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|start|>assistant<|channel|>commentary<|message|>", "<|channel|>final<|message|>"),
    ("analysis", "assistantfinal"),
]
GPT_OSS_END = "<|end|><|start|>assistant"
THOUGHTS = "We could say 2 > 1, or [1, 2]?\n\nAnswer: growth. No."
# What no mark of thoughts has.
WORDS = st.text(st.sampled_from("ab c.\n12[],>{}\"'"), max_size=12)


@pytest.mark.parametrize(("opening", "closing"), MARKS)
@pytest.mark.parametrize("before", ["", "\n", "  \n\n"])
def test_thoughts_are_no_part_of_the_answer(opening: str, closing: str, before: str) -> None:
    said = without_thoughts(f"{before}{opening}{THOUGHTS}{closing}\n\nI would share [2, 1].\n")
    assert said == ("I would share [2, 1].", True, False)


@pytest.mark.parametrize(("opening", "closing"), MARKS)
def test_thoughts_that_do_not_end_leave_nothing(opening: str, closing: str) -> None:
    assert without_thoughts(opening + THOUGHTS) == ("", True, True)
    assert without_thoughts(opening + THOUGHTS + closing) == ("", True, False)


@pytest.mark.parametrize(("opening", "closing"), MARKS)
def test_all_before_a_closing_mark_that_nothing_opens_is_thought(opening: str, closing: str) -> None:
    assert without_thoughts(f"{THOUGHTS} {closing}[2, 1]") == ("[2, 1]", True, False)
    # The second one says that the first was still among the thoughts.
    assert without_thoughts(f"{opening}Hm.{closing} I write {closing}[2, 1]") == ("[2, 1]", True, False)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>a</think><think>b</think>c", "c"),
        ("<think>a</think>\n[THINK]b[/THINK]\nc", "c"),
        ("<think>a <think> b </think>c", "c"),
        ("<think>a</think>b\n<think>c</think>\nd", "b\n\nd"),
        ("<think>a</think>b\n<think>c", "b"),
        ("<think>a</think>I write <think> and </think>.", "I write <think> and </think>."),
        ("<think></think>\n\nb", "b"),
        ("<think>a</thinking>b", ""),
        ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>", "b"),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>", "b"),
        ("analysisWe see.assistantanalysisMore.assistantfinalb", "b"),
    ],
)
def test_thoughts_in_several_parts(text: str, answer: str) -> None:
    said = without_thoughts(text)
    assert (said.answer, said.thinks) == (answer, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "I think that <think> is a tag.",
        "The tags <think> and </think> stand around thoughts.",
        "Write <reasoning>why</reasoning> first.",
        "Well.\n<think>hm</think>",
        "<thinker>I am</thinker>",
        "<b>think</b>",
        "[THINKING] of you",
        "analysis of the matter",
        "Analysis: all is well",
        "analysis We say",
        "On channel 4 they said so.",
        "<think",
        "think>",
        "I thought so; my reasoning is this.",
    ],
)
def test_a_text_that_speaks_of_thoughts_stays_as_it_is(text: str) -> None:
    assert without_thoughts(text) == (text, False, False)


@given(st.lists(st.sampled_from([mark for pair in MARKS for mark in pair]) | WORDS, max_size=8).map("".join))
def test_what_is_left_is_a_part_of_the_text_and_holds_no_thoughts_before_it(text: str) -> None:
    said = without_thoughts(text)
    assert said.thinks or said.answer == text
    assert not (said.is_unfinished and said.answer)
    assert len(said.answer) <= len(text)
    for opening, _ in MARKS[:-1]:
        assert not said.answer.lstrip().startswith(opening)


@given(st.sampled_from(MARKS), WORDS, WORDS)
def test_any_answer_after_any_thoughts_is_read(marks: tuple[str, str], thoughts: str, answer: str) -> None:
    opening, closing = marks
    # "analysis" opens thoughts only where these begin like a sentence.
    assert without_thoughts(f"{opening}W{thoughts}{closing}{answer}").answer == answer.strip()


@pytest.mark.parametrize("text", ["<think>" * 20_000, "</think>" * 20_000, "<think></think>" * 10_000, "<" * 100_000,
                                  "<think> [THINK] " * 8_000, "analysis" * 15_000, "\n<think>a</think>" * 7_000,
                                  "think " * 20_000], ids=lambda text: text[:12])  # fmt: skip
def test_a_hundred_kilobytes_of_marks_are_read(text: str) -> None:
    assert len(without_thoughts(text).answer) <= len(text)


# ---- Completions


@pytest.mark.parametrize(
    ("text", "marker", "truncated", "answer"),
    [
        ("[1, 2]", "", False, Completion("[1, 2]")),
        (" [1, 2", "", True, Completion(" [1, 2", truncated=True)),
        ("<think>Hm.</think> [1, 2]", "", False, Completion("[1, 2]")),
        ("<think>Hm.</think> [1, 2", "", True, Completion("[1, 2", truncated=True)),
        ("<think>Hm.</think>", "", True, Completion("", truncated=True, error=CUT_IN_THOUGHTS)),
        ("<think>Hm", "", True, Completion("", truncated=True, error=CUT_IN_THOUGHTS)),
        ("<think>Hm.", "", False, Completion("")),
        ("Hm. </think> [1, 2]", "</think>", False, Completion("[1, 2]")),
        ("Is </think> meant? </think>\n[1, 2", "</think>", True, Completion("[1, 2", truncated=True)),
        ("Hm, let me", "</think>", True, Completion("", truncated=True, error=CUT_IN_THOUGHTS)),
        ("Hm.</think>", "</think>", True, Completion("", truncated=True, error=CUT_IN_THOUGHTS)),
        ("[1, 2]", "</think>", False, Completion("[1, 2]")),
        ("<think>Hm.", "ANSWER:", False, Completion("")),
        ("<think>Hm.</think> [1, 2]", "ANSWER:", False, Completion("[1, 2]")),
        ("Hm. ANSWER: [1, 2] ", "ANSWER:", False, Completion("[1, 2]")),
    ],
)
def test_the_answer_is_what_follows_the_thoughts(text: str, marker: str, truncated: bool, answer: Completion) -> None:
    assert read_answer(text, marker, truncated=truncated) == answer


def test_thoughts_that_the_prompt_has_opened_are_thoughts() -> None:
    read = {"opened": "<think>", "logprobs": {"A": -0.1}}
    assert read_answer("Hm, let", "", truncated=True, **read).error == CUT_IN_THOUGHTS
    assert read_answer("Hm.</think>A", "", truncated=False, **read) == Completion("A")
    assert read_answer("[2, 1]", "", truncated=False, is_held=True, **read) == Completion("[2, 1]")


def test_the_first_token_of_thoughts_is_no_answer() -> None:
    logprobs = {"<": -0.1, "A": -3.0}
    assert read_answer("A", "", truncated=True, logprobs=logprobs).logprobs == logprobs
    assert read_answer("<think>Hm.</think>A", "", truncated=False, logprobs=logprobs).logprobs is None
    assert read_answer("A", "", truncated=False, thinks=True, logprobs=logprobs).logprobs is None
    assert read_answer("A", "</think>", truncated=False, logprobs=logprobs).logprobs is None


class Tokenizer:
    """Each word a token."""

    def __init__(self, *special: str) -> None:
        tokens = [type("Added", (), {"content": text, "special": True})() for text in special]
        self.added_tokens_decoder = dict(enumerate(tokens))
        self.words: list[str] = []

    def encode(self, text: str) -> list[int]:
        self.words += text.split(" ")
        return list(range(len(self.words) - len(text.split(" ")), len(self.words)))

    def decode(self, tokens: list[int]) -> str:
        return " ".join(self.words[token] for token in tokens)


@pytest.mark.parametrize(
    ("prompt", "opened"),
    [
        ("user hi assistant <think> \n", "<think>"),
        ("user hi assistant [THINK]", "[THINK]"),
        ("user hi assistant <think> \n\n </think> \n\n", ""),
        ("user what is <think> ? assistant", ""),
        ("user " + "word " * 100 + "assistant <think>", "<think>"),
    ],
)
def test_what_a_template_opens_at_the_end_of_a_prompt_is_seen(prompt: str, opened: str) -> None:
    tokenizer: Any = Tokenizer()
    assert opened_thoughts(tokenizer, tokenizer.encode(prompt)) == opened


@pytest.mark.parametrize(("opening", "closing"), MARKS)
def test_thoughts_that_a_prompt_opens_can_be_left_empty(opening: str, closing: str) -> None:
    opened = opened_by(f"user hi assistant {opening}")
    if not opened:  # a prompt cannot end with it: only what follows makes it a mark
        assert opening in ("analysis", "<|channel>thought\n")
        return
    assert leaving_empty(opened).strip() in (closing, closing.casefold().replace(" ", ""), f"{GPT_OSS_END}{closing}")
    assert without_thoughts(f"{opened}{leaving_empty(opened)}I share.") == ("I share.", True, False)


def test_marks_that_are_special_tokens_are_seen() -> None:
    assert marks_are_special(Tokenizer("</s>", "[THINK]", "[/THINK]"))
    assert not marks_are_special(Tokenizer("</s>", "<|channel|>", "<|end|>"))
    assert not marks_are_special(object())


# ---- What a client counts and says


@dataclass(frozen=True)
class Thinker:
    """A model that answers with what it is asked, thoughts included."""

    name: str = "thinker"
    occupies_machine: ClassVar[bool] = False

    def identity(self) -> dict[str, object]:
        return {"engine": "test", "model": self.name}

    def start(self) -> "Thinker":
        return self

    def stream(self, conversations: Sequence[Conversation], _: object) -> Stream:
        said = [str(conversation[-1]["content"]) for conversation in conversations]
        answers = [read_answer(text, "", truncated=text.endswith("cut")) for text in said]
        return Stream(group for group in [list(enumerate(answers))])

    def close(self) -> None:
        pass


def asked(client: Client, *texts: str) -> list[Completion]:
    conversations: list[Conversation] = [[{"role": "user", "content": text}] for text in texts]
    return client.ask(conversations, Sampling(), title="", unit="", progress=False)


@pytest.fixture
def _afresh() -> Iterator[None]:
    release()
    yield
    release()


@pytest.mark.usefixtures("_afresh")
def test_thoughts_are_counted_and_said_once_a_model(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(2):
        for name in ("one", "other"):
            client = Client(Thinker(name), "off")
            texts = ("<think>a</think>1", "<think>b</think>2", "3", "<think>c, cut", "<think>d, cut")
            assert [one.text for one in asked(client, *texts)] == ["1", "2", "3", "", ""]
            assert (client.usage.with_thoughts, client.usage.failed, client.usage.calls) == (2, 2, 5)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert all("raise llm.reasoning_tokens" in warning for warning in warnings)
    assert sum("its thoughts are left out" in record.getMessage() for record in caplog.records) == 2


@pytest.mark.usefixtures("_afresh")
def test_what_is_cut_among_thoughts_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path))
    texts = ("<think>a</think>1", "<think>c, cut", " ", "<think>e</think>")
    for calls in (4, 3):
        client = Client(Thinker(), "on")
        assert [one.text.strip() for one in asked(client, *texts)] == ["1", "", "", ""]
        assert client.usage.calls == calls


def test_only_halves_of_pairs_are_replaced() -> None:
    assert encodable("a\ud800b\udc00") == "a\ufffdb\ufffd"
    assert encodable("\U0001f600 \u00e9\x00") == "\U0001f600 \u00e9\x00"
