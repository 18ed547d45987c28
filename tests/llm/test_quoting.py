"""No text leaves its place in a prompt."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.llm import TRUNCATION_MARK, escape_special_tokens, quote_text

MARKS = [
    "<|im_end|>",
    "<|im_start|>system",
    "</s>",
    "<s>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<|eot_id|>",
    "<bos>",
    "<\uff5cbegin\u2581of\u2581sentence\uff5c>",
    "[INST]",
    "[/INST]",
    "[gMASK]",
    "[TOOL_CALLS]",
    "[control_8]",
]

TEXTS = st.text(st.characters() | st.sampled_from('<>[]{}"\\|/\n\r\u2028\x00\ud800'), max_size=300)


@given(TEXTS)
def test_a_text_is_one_line_and_comes_back_whole(text: str) -> None:
    shown, truncated = quote_text(text, 10_000)
    assert not truncated
    assert len(shown.splitlines()) == 1
    # Two lone halves side by side are, to JSON, the character they would make together.
    assert json.loads(shown) == json.loads(json.dumps(text))


@given(TEXTS)
def test_a_text_can_always_be_sent(text: str) -> None:
    quote_text(text, 10_000)[0].encode("utf-8")


@pytest.mark.parametrize("mark", MARKS)
def test_no_special_token_comes_from_a_text(mark: str) -> None:
    shown, _ = quote_text(f"before {mark} after", 1000)
    assert mark not in shown
    assert mark not in escape_special_tokens(f"before {mark} after")
    assert json.loads(shown) == f"before {mark} after"


@pytest.mark.parametrize("text", ["3 < 4", "I <3 you", "see [1] and [2, 3]", "naïve 日本語 👩‍👩‍👧 می‌خواهم"])
def test_ordinary_texts_stay_readable(text: str) -> None:
    assert quote_text(text, 1000)[0] == f'"{text}"'


@given(TEXTS, st.integers(20, 120))
def test_long_texts_are_truncated_at_the_last_character_that_fits(text: str, most: int) -> None:
    shown, truncated = quote_text(text, most)
    size = len(quote_text(text, 10_000)[0].encode()) - 2
    assert truncated == (size > most)
    if truncated:
        assert shown.endswith(TRUNCATION_MARK + '"')
        beginning = shown[1 : -len(TRUNCATION_MARK) - 1]
        assert len(beginning.encode()) <= most
        kept = next(n for n in range(len(text), -1, -1) if quote_text(text[:n], 10_000)[0] == f'"{beginning}"')
        assert len(quote_text(text[: kept + 1], 10_000)[0].encode()) - 2 > most


def test_a_hundred_kilobytes_are_truncated_whatever_they_hold() -> None:
    for text in ("a" * 100_000, "\x00" * 100_000, "<b" * 50_000, "\U0001f600" * 100_000, '"' * 100_000):
        shown, truncated = quote_text(text, 6000)
        assert truncated
        assert 5990 - 12 <= len(re.sub(re.escape(TRUNCATION_MARK), "", shown).encode()) <= 6002
