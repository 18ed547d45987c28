"""An error is one readable line, whatever the input it quotes."""

from hypothesis import example, given
from hypothesis import strategies as st

from valueflow.run import InputError, nearest, shorten


@given(st.text())
@example("".join(map(chr, range(0x110000)))[:70_000])
@example("a\nb\rc\x0bd\x0ce\x1cf\x85g\u2028h\u2029i\ud800j\x00k\x1b[31ml")
@example("x" * 100_000)
def test_a_message_is_one_short_line_that_can_be_printed(message: str) -> None:
    line = str(InputError(message))
    assert len(line.splitlines()) <= 1
    assert len(line) <= 600
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in line)
    line.encode("utf-8")


@given(st.text(st.characters(exclude_categories=["C", "Z"]), max_size=500))
def test_an_ordinary_message_is_left_alone(message: str) -> None:
    assert str(InputError(message)) == message


def test_escapes_can_be_read() -> None:
    assert str(InputError("a\nb\x00c\u2028d")) == r"a\nb\x00c\u2028d"


def test_the_nearest_name_is_asked_for_whatever_its_case() -> None:
    known = ["benevolence", "power", "Self-Direction"]
    assert nearest("benevolance", known) == "did you mean 'benevolence'? Known: benevolence, power, Self-Direction"
    assert nearest("self-directoin", known).startswith("did you mean 'Self-Direction'? ")
    assert nearest("POWER", known).startswith("did you mean 'power'? ")
    assert nearest("zzz", known) == "Known: benevolence, power, Self-Direction"
    assert nearest("anything", []) == "Known: none"


@given(st.text(), st.integers(4, 80))
def test_quotes_are_cut_to_length(text: str, length: int) -> None:
    cut = shorten(text, length)
    assert len(cut) <= length
    assert cut == text if len(text) <= length else cut == text[: length - 3] + "..."
