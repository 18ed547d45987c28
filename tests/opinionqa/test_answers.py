"""What an answer to a question with options may be, and which option it names."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from valueflow.opinionqa.answers import letter_constraint, read_option

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "opinionqa_sample.json"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

YES_NO = ("Yes", "No", "No opinion")
DEGREES = ("Very likely", "Fairly likely", "Not too likely", "Not at all likely")
PARTIES = ("Democrat", "Republican", "Independent")
NINE = ("One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
AMOUNTS = ("A great deal", "A lot", "A little", "Nothing at all")
OPTIONS = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=26)


# ---- What it may be


@pytest.mark.parametrize("n", range(1, 27))
def test_the_grammar_holds_the_letters_of_the_options_and_nothing_else(n: int) -> None:
    constraint = letter_constraint(n)
    start, branches = constraint.grammar.split(" ::= ")
    assert start == "root"
    assert branches.split(" | ") == [f'"{letter}"' for letter in LETTERS[:n]]
    assert constraint.schema is None
    assert re.fullmatch(r"\w+", constraint.name)


def test_every_number_of_options_has_a_constraint_of_its_own() -> None:
    assert len({letter_constraint(n).name for n in range(1, 27)}) == 26


# ---- Letters


@pytest.mark.parametrize(
    "answer",
    [
        "B",
        " B ",
        "B\n",
        "\n\nB",
        "B.",
        "B)",
        "B:",
        "(B)",
        "(B).",
        "( B )",
        "b",
        "b.",
        "b)",
        "(b)",
        "b:",
        "**B**",
        "**B.**",
        "**B**.",
        "`B`",
        '"B"',
        "\u201cB\u201d",
        "B. Fairly likely",
        "B) Fairly likely",
        "B: Fairly likely",
        "(B) Fairly likely",
        "B - Fairly likely",
        "B Fairly likely",
        "B fairly likely.",
        "B.Fairly likely",
        "B.fairly",
        "B. Fair",
        "B Fair",
        "**B. Fairly likely**",
        "**B.** Fairly likely",
        "**B** Fairly likely",
        "B. I think so.",
        "B\nBecause it is so.",
        "B\n\nA person like that would say so.",
        "B. Neither A nor C.",
        "Answer: B",
        "answer: b",
        "ANSWER: B.",
        "Answer: (B)",
        "Answer:\nB",
        "Answer: **B**",
        "**Answer:** B",
        "**Answer: B**",
        "Answer - B",
        "Answer B",
        "Answer is B.",
        "The answer is B.",
        "The answer is: B",
        "The final answer is B",
        "Final answer: B. Fairly likely",
        "Answer: Fairly likely",
        "Option B",
        "Option B.",
        "option (b)",
        "Option B: Fairly likely",
        '{"answer": "B"}',
        '{"option":"B. Fairly likely"}',
        '{"answer": "Fairly likely"}',
        ' {"answer": "b"}\n',
        "Fairly likely",
        "fairly likely",
        "FAIRLY LIKELY.",
        "Fairly  likely",
        "**Fairly likely**",
        '"Fairly likely"',
        "Fairly likely, as things are.",
        "Fairly likely\n\nExplanation: things are so.",
    ],
)
def test_the_second_option_is_read(answer: str) -> None:
    assert read_option(answer, DEGREES) == 1


@pytest.mark.parametrize("options", [DEGREES, PARTIES, YES_NO, ("This", "That"), NINE])
@pytest.mark.parametrize(
    "answer",
    [
        "I am a Democrat",
        "A person of that party would say so",
        "A lot of people",
        "A man's world",
        "A and B",
        "A or B",
        "I'd rather not say",
        "I think the answer is B",
        "I do not know",
        "Because",
        "Definitely",
        "Certainly",
        "Both",
        "Don't know",
        "As a member of the group",
        "Z",
        "Z.",
        "(Z)",
        "Answer: Z",
        "Answer:",
        "Answer",
        "Option",
        "",
        " ",
        "\n",
        ".",
        "()",
        "**",
        "Neither",
        "Neither of them",
        "None of the above",
        "As an AI model, I have no opinions.",
        "1",
        "2.",
        "?",
        "AB",
        "BC",
        "A.M.",
        "U.S. citizens",
        "{}",
        "[]",
        "null",
        "{",
        '{"answer": 1}',
        '{"answer": null}',
        "\ud800",
        "\x00",
    ],
)
def test_no_option_is_read(answer: str, options: tuple[str, ...]) -> None:
    assert read_option(answer, options) is None


@pytest.mark.parametrize(
    "answer",
    ["A Democrat would say", "A Democrat would say that it is not.", "A Republican would choose B"],
)
@pytest.mark.parametrize("options", [DEGREES, PARTIES, PARTIES[1:], YES_NO])
def test_a_member_of_a_party_is_no_option_even_where_parties_are(answer: str, options: tuple[str, ...]) -> None:
    assert read_option(answer, options) is None


@pytest.mark.parametrize(
    ("answer", "options"),
    [
        ("A nobody would say so", ("No", "Yes")),
        ("A somewhat odd question", ("Some", "Most")),
        ("A manager", ("Man", "Woman")),
        ("A Democrat", (".", "Other")),
    ],
)
def test_a_word_that_begins_like_the_first_option_is_not_its_text(answer: str, options: tuple[str, ...]) -> None:
    assert read_option(answer, options) is None


@pytest.mark.parametrize("answer", ["I", "I.", "(I)", "I. Nine"])
def test_i_is_a_letter_where_there_are_nine_options(answer: str) -> None:
    assert read_option(answer, NINE) == 8
    assert read_option(answer, NINE[:8]) is None


@given(OPTIONS, st.data())
def test_a_letter_alone_is_its_option_whatever_the_options_say(options: list[str], data: st.DataObject) -> None:
    option = data.draw(st.integers(0, len(options) - 1))
    letter = LETTERS[option]
    for answer in (letter, letter.lower(), f"{letter}.", f"({letter})", f"{letter})", f" {letter}\n", f"**{letter}**"):
        assert read_option(answer, options) == option, answer


@given(OPTIONS, st.data())
def test_a_letter_with_a_sign_is_its_option_whatever_follows(options: list[str], data: st.DataObject) -> None:
    option = data.draw(st.integers(0, len(options) - 1))
    for form in ("{}. {}", "{}) {}", "({}) {}", "{}: {}", "Answer: {}. {}"):
        assert read_option(form.format(LETTERS[option], options[option]), options) == option, form


@pytest.mark.parametrize(
    ("answer", "options", "index"),
    [
        ("A. A", ("A",), 0),
        ("(A) B.", ("B", "A"), 0),
        ("A. B", ("Yes", "No"), None),
        ("- - yes", ("- - yes", "no"), 0),
        ("- yes", ("- yes", "no"), 0),
        ("- 5", ("5", "- 5"), 1),
        ("- no", ("- yes", "no"), 1),
    ],
)
def test_options_that_look_like_letters_or_bullets(answer: str, options: tuple[str, ...], index: int | None) -> None:
    assert read_option(answer, options) == index


@settings(max_examples=examples(30))
@given(OPTIONS, st.sampled_from(["{}.", "{}", "({})", "{}. Yes", "Answer: {}"]))
def test_letters_beyond_the_options_are_none(options: list[str], form: str) -> None:
    texts = [f"text {option}" for option in options]
    for letter in LETTERS[len(options) :]:
        assert read_option(form.format(letter), texts) is None


# ---- Texts


@pytest.mark.parametrize("option", range(4))
def test_texts_that_begin_with_an_article_are_read(option: int) -> None:
    for answer in (AMOUNTS[option], AMOUNTS[option].lower(), AMOUNTS[option] + ".", f"Answer: {AMOUNTS[option]}"):
        assert read_option(answer, AMOUNTS) == option
        assert read_option(f"{LETTERS[option]} {AMOUNTS[option]}", AMOUNTS) == option


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_longest_text_that_an_answer_begins_with_is_meant(order: tuple[int, ...]) -> None:
    options = [YES_NO[place] for place in order]
    assert read_option("No opinion", options) == options.index("No opinion")
    assert read_option("No opinion, really.", options) == options.index("No opinion")
    assert read_option("No", options) == options.index("No")
    assert read_option("No.", options) == options.index("No")
    assert read_option("No, they are not.", options) == options.index("No")


@pytest.mark.parametrize("answer", ["No opin", "No o", "no opini"])
def test_a_cut_answer_that_begins_one_option_alone_is_that_option(answer: str) -> None:
    assert read_option(answer, YES_NO, truncated=True) == 2
    assert read_option(answer, YES_NO) is None


@pytest.mark.parametrize("answer", ["No", "no"])
def test_a_cut_answer_that_may_be_two_options_is_neither(answer: str) -> None:
    assert read_option(answer, YES_NO, truncated=True) is None


@pytest.mark.parametrize(
    "answer", ["B", "B.", "B. Fairly", "B. Fairly likely", "(B) Fair", "Fairly likely", "Answer: B"]
)
def test_a_cut_answer_that_can_be_one_option_only_is_that_one(answer: str) -> None:
    assert read_option(answer, DEGREES, truncated=True) == 1


@pytest.mark.parametrize(
    ("answer", "options", "index"),
    [
        ("None", ("No need", "None"), 1),
        ("not", ("No the", "not"), 1),
        ("No n", ("No need", "None"), 0),
        ("No", ("No need", "None"), None),
        ("Noneed", ("No need", "None"), 0),
        ("non", ("No need", "None"), 1),
        ("**No** -", ("Yes", "No", "No opinion"), None),
        ("Agree -", ("Agree", "Agree strongly"), None),
    ],
)
def test_a_cut_answer_does_not_run_words_of_an_option_together(
    answer: str, options: tuple[str, ...], index: int | None
) -> None:
    assert read_option(answer, options, truncated=True) == index


def test_a_cut_answer_that_is_past_the_shorter_option_is_one() -> None:
    assert read_option("No, they", YES_NO, truncated=True) == 1
    assert read_option("No opinion", YES_NO, truncated=True) == 2
    assert read_option("Yes", YES_NO, truncated=True) == 0


def test_a_word_that_begins_like_an_option_is_not_it() -> None:
    for answer in ("Nobody", "Not sure", "Yesterday", "None"):
        assert read_option(answer, YES_NO) is None


def test_an_option_that_is_named_later_is_not_read() -> None:
    for answer in ("I would say No", "Well, B.", "The group says: B", "In my opinion, Yes"):
        assert read_option(answer, YES_NO) is None


def test_texts_that_stand_twice_are_told_apart_by_letters_only() -> None:
    options = ("Yes", "No", "yes", "No opinion")
    assert read_option("Yes", options) is None
    assert read_option("No", options) == 1
    assert read_option("A", options) == read_option("A. Yes", options) == read_option("A Yes", options) == 0
    assert read_option("C", options) == read_option("C. yes", options) == read_option("C yes", options) == 2


@pytest.mark.parametrize(
    "text",
    [
        '"Hasn\'t made much difference"',
        '""Don\'t want to carry"',
        'Say "no"',
        "\u201cYes\u201d, mostly",
        "Five * five",
        "`code`",
    ],
)
def test_quotes_and_stars_of_an_option_are_no_hindrance(text: str) -> None:
    options = ("Something else", text, "Neither")
    for answer in (text, f"**{text}**", f"B {text}", f"B. {text}"):
        assert read_option(answer, options) == 1, answer


@pytest.mark.parametrize(
    "text", ["Answers", "Answer", "Answered truly", "The answer is no", "Option to buy", "Options"]
)
def test_an_option_may_begin_with_the_word_answer(text: str) -> None:
    assert read_option(text, ("Something else", text)) == 1


@pytest.mark.skipif(not REAL.is_file(), reason="the real survey is not on this machine")
@pytest.mark.parametrize(
    "form",
    ["{text}", "{text}.", " {lower}\n", "{upper}", "{letter}. {text}", "{letter} {text}", "({letter}) {text}",
     "{letter}) {lower}", "**{letter}.** {text}", "Answer: {text}", "{letter}"],
)  # fmt: skip
def test_every_option_of_the_real_survey_is_read(form: str) -> None:
    misread = set()
    for item in json.loads(REAL.read_text(encoding="utf-8")):
        options = item["options"]
        for option, text in enumerate(options):
            answer = form.format(letter=LETTERS[option], text=text, lower=text.lower(), upper=text.upper())
            named_twice = "letter" not in form and options.count(text) > 1
            if read_option(answer, options) != (None if named_twice else option):
                misread.add((answer, tuple(options)))
    assert misread == set()


WORDS = st.sampled_from(
    ["yes", "No", "not", "at", "all", "likely", "very", "the", "Answer", "option", "is", "a", "I", "lot", "30,000",
     "$5", "18-29", "caf\u00e9", "U.S.", "don't", "(none)", "x/y", '"so"', "*", "\u201cno\u201d", "-", "&"]
)  # fmt: skip
TEXTS = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)


def skeleton(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def named_by_itself(text: str, others: list[str]) -> bool:
    """Whether nothing but this option can be meant: not a letter, and neither the beginning nor the end of another."""
    bare = skeleton(text)
    if not bare or re.match(r"(the )?(final )?(answer |option )?(is )?[a-z]\b", bare):
        return False
    return not any(skeleton(other).startswith(bare) or bare.startswith(skeleton(other)) for other in others)


@given(st.lists(TEXTS, min_size=1, max_size=6), st.data())
def test_an_answer_that_is_an_option_s_own_text_is_that_option(options: list[str], data: st.DataObject) -> None:
    for option, text in enumerate(options):
        if named_by_itself(text, options[:option] + options[option + 1 :]):
            cased = data.draw(st.sampled_from([str, str.upper, str.lower, str.title, str.swapcase]))(text)
            blank = data.draw(st.sampled_from(["", " ", "\n", "\t "]))
            for truncated in (False, True):
                assert read_option(f"{blank}{cased}{blank}", options, truncated=truncated) == option


# ---- Anything


@given(st.text(), OPTIONS, st.booleans())
def test_no_answer_is_more_than_unreadable(answer: str, options: list[str], truncated: bool) -> None:
    read = read_option(answer, options, truncated=truncated)
    assert read is None or 0 <= read < len(options)


@given(st.text('AaBIi .:()-*"`\n{}[]\\answerAnswer:option', max_size=30), st.booleans())
def test_no_answer_that_looks_like_one_is_more_than_unreadable(answer: str, truncated: bool) -> None:
    for options in (YES_NO, AMOUNTS, ("", " ", "."), tuple(LETTERS)):
        read = read_option(answer, options, truncated=truncated)
        assert read is None or 0 <= read < len(options)


@settings(max_examples=examples(40))
@given(st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=2)
                    | st.dictionaries(st.text(max_size=3), inner, max_size=2), max_leaves=5))  # fmt: skip
def test_no_json_is_more_than_unreadable(content: object) -> None:
    read = read_option(json.dumps(content), YES_NO)
    assert read is None or 0 <= read < 3


HUGE = ("A" * 100_000, " " * 100_000, "(" + " " * 100_000, "A" + " " * 100_000 + "x", "Answer" + " " * 100_000 + "x",
        "the " * 25_000, "Option " * 15_000, "[" * 100_000, '{"a":' * 20_000, "1" * 100_000, "*" * 100_000,
        "No" * 50_000, "A lot of people " * 6_000, "\u00df" * 100_000)  # fmt: skip


@pytest.mark.parametrize("answer", HUGE, ids=[answer[:8].strip() for answer in HUGE])
def test_a_hundred_kilobytes_of_nothing_are_none(answer: str) -> None:
    for truncated in (False, True):
        assert read_option(answer, YES_NO, truncated=truncated) is None


def test_a_hundred_kilobytes_after_a_letter_are_no_hindrance() -> None:
    for answer in ("B. " + "word " * 20_000, "\n" * 100_000 + "B", "B" + " " * 100_000, "**" * 50_000 + "B"):
        assert read_option(answer, YES_NO) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "B (No)",
        "B (",
        "Option: B",
        "Choice B",
        "\\boxed{B}",
        "$B$",
        "B; for sure",
        "- B",
        "<answer>B",
        "The correct answer is B",
        "\uff22",
        "B\uff09",
        "B\u3002",
        "[B]",
        "B, because",
    ],
)
def test_letters_as_models_dress_them(answer: str) -> None:
    assert read_option(answer, YES_NO) == 1


@pytest.mark.parametrize("answer", ["A. or B.", "A. B. C.", "A\nB\nC", "A, B", "A or B", "A) and B)", "A/B"])
def test_several_letters_are_no_choice(answer: str) -> None:
    assert read_option(answer, YES_NO) is None


def test_an_option_that_begins_with_a_letter_of_its_own_is_no_second_choice() -> None:
    assert read_option("A. A lot", ("A lot", "A little")) == 0
    assert read_option("(B) A little", ("A lot", "A little")) == 1


# ---- Several options, and a later answer


OPTIONS_REPEATED = (
    "A. Very likely\nB. Fairly likely\nC. Not too likely\nD. Not at all likely",
    "A) Very likely\nB) Fairly likely",
    "A. Very likely B. Fairly likely C. Not too likely",
    "A. Very likely, B. Fairly likely",
    "Very likely\nFairly likely\nNot too likely",
    "- Very likely\n- Fairly likely",
    "Very likely, Fairly likely",
    "Very likely or Fairly likely",
    "(A) Very likely (B) Fairly likely",
    "A: Very likely\n\nB: Fairly likely",
)


@pytest.mark.parametrize("repeated", OPTIONS_REPEATED)
def test_whoever_repeats_the_options_has_chosen_none_but_by_a_later_answer(repeated: str) -> None:
    assert read_option(repeated, DEGREES) is None
    for later in ("Answer: B", "The answer is B.", "**Answer:** (B)", "Final answer: Fairly likely", "answer: b."):
        assert read_option(f"{repeated}\n\n{later}", DEGREES) == 1, later
    assert read_option(f"{repeated}\n\nAnswer: B or C", DEGREES) is None
    assert read_option(f"{repeated}\n\nAnswer: neither", DEGREES) is None


@pytest.mark.parametrize(
    "answer",
    ["C. Fairly likely", "B. Very likely", "A: Not too likely", "(D) Fairly likely", "A. Fairly\u2011likely"],
)
def test_a_letter_with_the_text_of_another_option_is_no_choice(answer: str) -> None:
    assert read_option(answer, DEGREES) is None


@pytest.mark.parametrize(
    "answer",
    [
        '```json\n{"answer": "B"}\n```',
        '{"answer": "B"}\n\nThings are so.',
        "{'answer': 'B'}",
        'I say {"answer": "Fairly likely"}.',
        "Fairly\u2011Likely",
        "fairly-likely",
        "B. Fairly\u00a0likely",
        "B Fairly likely\nBecause things are so.",
        "- Fairly likely",
        "B. Fairly likely\nOptions such as very likely are for the young.",
        "B. The answer is obvious.",
        "A is for the young. Answer: B",
    ],
)
def test_the_second_option_is_read_in_any_dress(answer: str) -> None:
    assert read_option(answer, DEGREES) == 1


def strictly_named(answer: str) -> set[int]:
    """The options whose letter stands by itself in an answer, or whose text does."""
    by_letter = {LETTERS.index(letter.upper()) for letter in re.findall(r"(?<![^\W_])([A-Da-d])(?![^\W_])", answer)}
    by_text = {index for index, text in enumerate(DEGREES) if skeleton(text) in skeleton(answer)}
    return by_letter | by_text


OPTION_PIECES = st.sampled_from(
    [
        *("A", "B", "C", "b", "Very likely", "Fairly likely", "fairly\u2011likely", "Not too likely"),
        *(
            ". ",
            ") ",
            "(",
            ": ",
            ", ",
            "\n",
            " ",
            " or ",
            " and ",
            " not ",
            "Answer: ",
            "The answer is ",
            "*",
            "`",
            '"',
        ),
        *('{"answer": "', '"}', "```json\n", "\n```", "- ", "I ", "?", ";"),
    ]
)


def check_against_strict_reader(answer: str) -> None:
    index = read_option(answer, DEGREES)
    if index is None:
        return
    # Markup is nothing: "A*B" is the word AB.
    bare = re.sub('[*`"]', "", answer)
    named = strictly_named(bare)
    assert index in named
    # Letters and signs alone leave no choice among several.
    assert len(named) == 1 or re.search(r"[A-Za-z]{2}", bare), answer


@given(st.lists(OPTION_PIECES, max_size=12).map("".join))
def test_no_option_is_read_that_a_strict_reader_contradicts(answer: str) -> None:
    check_against_strict_reader(answer)


@pytest.mark.slow
@settings(max_examples=examples(4_000))
@given(st.lists(OPTION_PIECES, max_size=20).map("".join))
def test_no_option_of_many_is_read_that_a_strict_reader_contradicts(answer: str) -> None:
    check_against_strict_reader(answer)
