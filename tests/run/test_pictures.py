"""Names in pictures stay what they are as far as a picture can show them."""

import pytest

from valueflow.run import picture_text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Qwen3 <32B> & co.", "Qwen3 <32B> & co."),
        ("a$b$", r"a\$b\$"),
        ("_hidden", " _hidden"),
        ("a\x1b[31m\nb\udcff", "a\ufffd[31m\ufffdb\ufffd"),
        ("a\uffff\ufffe", "a\ufffd\ufffd"),
        ("模型", "模型"),
    ],
)
def test_texts_of_pictures(name: str, shown: str) -> None:
    assert picture_text(name) == shown


def test_long_names_are_cut() -> None:
    assert picture_text("x" * 1000) == "x" * 197 + "..."
