"""What of a model's words is the answer."""

import pytest

from valueflow.llm.engines.thoughts import encodable, final_answer


@pytest.mark.parametrize(
    ("text", "marker", "truncated", "answer"),
    [
        ("[1, 2]", "", False, ("[1, 2]", False)),
        ("[1, 2", "", True, ("[1, 2", True)),
        ("Hm. </think> [1, 2]", "</think>", False, ("[1, 2]", False)),
        ("Is </think> meant? </think>\n[1, 2", "</think>", True, ("[1, 2", True)),
        ("Hm, let me", "</think>", True, ("", True)),
        ("[1, 2]", "</think>", False, ("[1, 2]", False)),
    ],
)
def test_the_answer_is_what_follows_the_thoughts(
    text: str, marker: str, truncated: bool, answer: tuple[str, bool]
) -> None:
    assert final_answer(text, marker, truncated=truncated) == answer


def test_only_halves_of_pairs_are_replaced() -> None:
    assert encodable("a\ud800b\udc00") == "a\ufffdb\ufffd"
    assert encodable("\U0001f600 \u00e9\x00") == "\U0001f600 \u00e9\x00"
