"""Words whose first tokens are looked for: the rule, the vocabulary, the request in the cache."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.llm.test_transformers_engine import byte_tokenizer, conversations, needs_smollm2, tiny
from valueflow.llm import Client, Message, Sampling, TransformersModel, begins, release
from valueflow.llm.cache import request_key
from valueflow.llm.engines.vocabulary import Vocabulary

__all__ = ["tiny"]

ASKED: list[Message] = [{"role": "user", "content": "Hello"}]
LETTERS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=8)
BLANKS = st.text(" \t\n\r\u00a0\u3000", max_size=3)


@given(LETTERS, st.integers(1, 8), BLANKS, BLANKS, st.booleans())
def test_a_beginning_of_a_word_begins_it_whatever_its_case_and_the_blanks_around_it(
    word: str, length: int, before: str, after: str, swapped: bool
) -> None:
    token = before + (word.swapcase() if swapped else word)[:length] + after
    assert begins(token, word)
    assert begins(token, word.upper())
    assert begins(token, word + "ing")


@given(st.one_of(LETTERS, st.text(max_size=5)), LETTERS)
@example("Sup", "support")
@example("supports", "support")
@example("upport", "support")
@example("s u", "support")
def test_a_token_begins_a_word_where_it_is_one_of_its_beginnings(token: str, word: str) -> None:
    beginnings = {word.casefold()[:length] for length in range(1, len(word) + 1)}
    assert begins(token, word) == (token.strip().casefold() in beginnings)


@pytest.mark.parametrize("token", ["", " ", "\n\t", "\ufffd", "<s>", '"support'])
def test_blanks_and_other_signs_begin_no_word(token: str) -> None:
    assert not begins(token, "support")
    assert not begins(token, "")


class Counting:
    """A tokenizer that counts what it decodes."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.decoded = 0

    def get_vocab(self) -> dict[str, int]:
        found: dict[str, int] = self._tokenizer.get_vocab()
        return found

    def decode(self, tokens: list[int]) -> str:
        self.decoded += 1
        text: str = self._tokenizer.decode(tokens)
        return text


def test_tokens_are_those_of_a_scan_and_each_is_decoded_once() -> None:
    tokenizer = Counting(byte_tokenizer())
    vocabulary = Vocabulary(tokenizer, 256)
    assert vocabulary.beginning(()) == ()
    assert tokenizer.decoded == 0
    for words in (("support", "Oppose"), ("neutral",), ("support", "Oppose")):
        letters = {word[0].lower() for word in words} | {word[0].upper() for word in words}
        assert [vocabulary.text(token) for token in vocabulary.beginning(words)] == sorted(letters)
    # The end of a turn is a token that the model gives no probability.
    assert len(tokenizer.get_vocab()) == 257
    assert tokenizer.decoded == 256
    assert vocabulary.text(256) == "[END]"


@needs_smollm2
@pytest.mark.slow
def test_blanks_and_case_make_several_tokens_of_a_word(smollm2: Callable[[int], Any]) -> None:
    vocabulary = smollm2(1)._vocabulary
    texts = {vocabulary.text(token) for token in vocabulary.beginning(("support", "oppose"))}
    assert {" support", "support", " Support", "Support", "sup", " o", "O", " oppose"} <= texts
    assert not {" supports", "pose", " ", "\n"} & texts


def test_keys_without_words_stay_what_they_were_and_every_word_makes_another() -> None:
    plain = Sampling(max_tokens=1, top_logprobs=20)
    assert request_key({"model": "m"}, ASKED, plain) == (
        "2517cc7537bd6d1003a73e4978511016026676e935bd6296bd5dc13ebae26606"
    )
    words = [(), ("a",), ("b",), ("a", "b"), ("a b",), ("ab",), ("",)]
    keys = {request_key({"model": "m"}, ASKED, Sampling(1, 1, 1, None, 20, words=one)) for one in words}
    assert len(keys) == len(words)


def test_log_probabilities_of_words_come_back_from_the_cache(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path))
    asked = conversations(5)
    model = TransformersModel(model=str(tiny), device="cpu")
    client = Client(model, "on")

    def answers(sampling: Sampling) -> list[Any]:
        return client.ask(asked, sampling, title="", unit="texts", progress=False)

    wanted = Sampling(max_tokens=1, top_logprobs=3, words=("support", "é"))
    try:
        first = answers(wanted)
        assert client.usage.calls == 5
        again = answers(wanted)
        assert (client.usage.calls, client.usage.cache_hits) == (5, 5)
        without = answers(Sampling(max_tokens=1, top_logprobs=3))
        assert (client.usage.calls, client.usage.cache_hits) == (10, 5)
    finally:
        release(model)
    assert again == first
    assert [one.text for one in without] == [one.text for one in first]
    for one, plain in zip(first, without, strict=True):
        assert {"s", "S"} <= one.logprobs.keys()
        assert len(plain.logprobs) <= 3
        assert plain.logprobs.items() <= one.logprobs.items()
