"""Where options stand on a scale, by what survey files list and by what they declare."""

import json
import math
from pathlib import Path

import pytest

from valueflow.opinionqa.questions import load_questions
from valueflow.opinionqa.scales import scale_positions
from valueflow.run import InputError

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "opinionqa_sample.json"


def shown(positions: tuple[float, ...]) -> list[float | None]:
    return [None if math.isnan(position) else position for position in positions]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (("Yes", "No"), [0, 1]),
        (("Very good", "Somewhat good", "Somewhat bad", "Very bad"), [0, 1, 2, 3]),
        (("A lot", "Some", "Not much", "Not at all", "Refused"), [0, 1, 2, 3, None]),
        (("Very well", "Pretty well", "Not too well", "Not sure"), [0, 1, 2, None]),
        (("Refused", "Acceptable", "Unacceptable", "Don\u2019t know"), [None, 0, 1, None]),
        (("'Yes", "No", "\"I'm not sure\""), [0, 1, None]),
        (("Yes", "No", "Does not apply"), [0, 1, None]),
        # What stands between two sides and is listed after them.
        (("Better", "Worse", "About the same"), [0, 1, 0.5]),
        (("A lot", "A little", "Hurts a little", "Hurts a lot", "Neither helps nor hurts"), [0, 1, 2, 3, 1.5]),
        (("Men are better", "Women are better", "No difference"), [0, 1, 0.5]),
        (("Too much power", "Not enough power", "About the right amount", "Refused"), [0, 1, 0.5, None]),
        (("Trust it more", "Trust it less", "Makes no difference either way"), [0, 1, 0.5]),
        # What is in its place already, or no middle.
        (("Very good", "Neither good nor bad", "Very bad"), [0, 1, 2]),
        (("Increased", "Maintained at current levels", "Decreased"), [0, 1, 2]),
        (("Often", "Sometimes", "Hardly ever", "Never"), [0, 1, 2, 3]),
        (("One", "About the same"), [0, 1]),
        (("Not selected",), [None]),
        (("Yes", "Refused"), [None, None]),
    ],
)  # fmt: skip
def test_the_order_of_options(options: tuple[str, ...], wanted: list[float | None]) -> None:
    assert shown(scale_positions(options, None)) == wanted
    assert shown(scale_positions(options, True)) == wanted
    assert shown(scale_positions(options, False)) == [None] * len(options)


@pytest.mark.parametrize(
    ("declared", "wanted"),
    [((3, 1, 2), [3, 1, 2]), ((0, 1, None), [0, 1, None]), ((1, 1, None), [None] * 3), ((None,) * 3, [None] * 3)],
)
def test_declared_positions_stand(declared: tuple[float | None, ...], wanted: list[float | None]) -> None:
    assert shown(scale_positions(("No", "About the same", "Refused"), declared)) == wanted


def write(path: Path, **more: object) -> str:
    entry = {"question": "Do you?", "options": ["Yes", "No", "Maybe"], "attribute": "SEX_Male"}
    path.write_text(json.dumps([entry | {"gold_distribution": [0.5, 0.25, 0.25]} | more]), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({}, [0, 1, 2]),
        ({"ordinal": None}, [0, 1, 2]),
        ({"ordinal": True}, [0, 1, 2]),
        ({"ordinal": False}, [None] * 3),
        ({"ordinal": [0, 1, 0.5]}, [0, 1, 0.5]),
        ({"ordinal": [0, 1, None]}, [0, 1, None]),
    ],
)
def test_a_question_file_declares_the_order(
    more: dict[str, object], wanted: list[float | None], tmp_path: Path
) -> None:
    (item,) = load_questions(write(tmp_path / "q.json", **more), None)
    assert shown(item.positions) == wanted


@pytest.mark.parametrize(
    ("ordinal", "said"),
    [
        ([0, 1], "2 entries for 3 options"),
        ("yes", "yes"),
        (1, "is 1"),
        ([0, 1, "x"], "holds x"),
        ([0, 1, True], "holds True"),
        ([0, 1, 1e300], "holds 1e+300"),
        ([0, 1, math.nan], "holds nan"),
    ],
)
def test_a_wrong_order_is_refused_in_one_line(ordinal: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        load_questions(write(tmp_path / "q.json", ordinal=ordinal), None)
    message = str(error.value)
    assert said in message
    assert "index 0: 'ordinal'" in message
    assert "null for one on no scale" in message
    assert "\n" not in message


@pytest.mark.skipif(not REAL.is_file(), reason="the real survey is not on this machine")
def test_the_real_survey_s_scales() -> None:
    by_options = {item.options: shown(item.positions) for item in load_questions(str(REAL), None)}
    off = {option for options, places in by_options.items() for option, place in zip(options, places, strict=True)
           if place is None}  # fmt: skip
    assert off == {"Not sure", '"I\'m not sure"', "Does not apply", "Not selected"}
    middles = {
        options[-1] for options, places in by_options.items() if places[-1] is not None and places[-1] % 1 == 0.5
    }
    assert {"About the same", "No difference", "Neither helps nor hurts", "Both"} <= middles
    # None of these names a side or the end of a scale.
    ends = {"Not at all", "Never", "No", "None of it", "Very bad", "Decrease a lot", "Should not be done", "The worst"}
    assert not middles & ends
    assert sum(all(place is None for place in places) for places in by_options.values()) == 1
