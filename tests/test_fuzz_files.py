"""Whatever a file holds: no traceback, and nothing that the csv or json module, asked strictly, would contradict.

The slow runs are the same with far more examples.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valueflow.categorization.review import read_decisions
from valueflow.construction.texts import Texts, read_reviewed, text_id
from valueflow.opinionqa.profiles import load_profiles
from valueflow.opinionqa.questions import SurveyQuestion
from valueflow.opinionqa.relevance import read_relevance
from valueflow.responses import load_responses
from valueflow.run import InputError
from valueflow.theory import load_theory

PVQ = load_theory("pvq")


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows as the csv module reads them strictly, by the delimiter that makes a header of several names."""
    text = from_text_on(path.read_bytes().decode())
    declared = re.match(r'("?)sep=(.)\1\r?\n', text, re.IGNORECASE)
    text = from_text_on(text[declared.end() :]) if declared else text
    for delimiter in declared[2] if declared else ",;\t":
        try:
            lines = read_strictly(text, delimiter)
        except csv.Error:
            continue
        header = [name.strip() for name in lines[0]]
        filled = [line for line in lines[1:] if any(cell.strip() for cell in line)]
        if len(header) > 1 and all(len(line) == len(header) for line in filled):
            assert len({*filter(None, header)}) == len([*filter(None, header)])
            return [dict(zip(header, line, strict=True)) for line in filled]
    raise AssertionError(f"no strict reader makes a table of {text!r}")


def from_text_on(text: str) -> str:
    """Neither blank lines nor byte order marks count before the first line that has text."""
    return re.sub(r"\A[\s\ufeff]*^", "", text, flags=re.MULTILINE).lstrip("\ufeff")


def read_strictly(text: str, delimiter: str) -> list[list[str]]:
    for spaced in (False, True):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=spaced)
        lines = [line for line in reader if any(cell.strip() for cell in line)]
        if spaced or not all(cell.startswith(" ") for cell in lines[0][1:]):
            break
    return lines


def number(cell: str) -> float:
    """Return what a reader may take a cell for, if it takes it for a number: a comma can only be a decimal point."""
    return float(cell.replace(",", "."))


def as_in_a_cell(text: str) -> str:
    """A spreadsheet writes line breaks its own way."""
    return text.replace("\r\n", "\n").strip()


def told(error: InputError) -> None:
    assert len(str(error).splitlines()) == 1
    assert len(str(error)) <= 600


def check_responses(path: Path) -> None:
    read, _ = load_responses(str(path), {})
    expected = rows_of(path)
    for name in ("query", "response"):
        assert read[name].tolist() == [row[name] for row in expected]


def check_relevance(path: Path) -> None:
    items = [SurveyQuestion(question, ("Yes",), "SEX_Male", (1.0,)) for question in ("a", "b")]
    found = read_relevance(path, items)
    for item, score in zip(items, found.scores, strict=True):
        cells = [row["top_score"] for row in rows_of(path) if " ".join(row["question"].split()) == item.question]
        scores = {number(cell) for cell in cells if cell.strip().casefold() not in ("", "nan")}
        assert (scores or {None}) == {None if np.isnan(score) else score}


def check_decisions(path: Path) -> None:
    decisions, undecided = read_decisions(str(path), PVQ, ["a", "b\r\nb"], [1, 2])
    rows = rows_of(path)
    assert undecided == sum(not row["decision"].strip() for row in rows)
    for text, decision in decisions.items():
        own = [row for row in rows if re.sub(r"\W", "", row["text"]) == re.sub(r"\W", "", text)]
        assert any((row["decision"].strip().casefold() == "none") == (not decision.path) for row in own)


def check_reviewed(path: Path) -> None:
    names = np.array(["a", "b\r\nb"], dtype=object)
    ids = np.array([text_id(text) for text in names], dtype=object)
    blank = np.zeros(2, dtype=bool)
    found = read_reviewed(str(path), Texts(names, ids, ~blank, blank, np.full(2, np.nan), 2))
    rows = rows_of(path)
    for place, rating in enumerate(found.rating):
        own = [
            number(row["human_rating"])
            for row in rows
            if row["human_rating"].strip()
            and (row["id"].strip() == ids[place] or as_in_a_cell(row.get("text", "")) == as_in_a_cell(names[place]))
        ]
        assert math.isnan(rating) if not own else rating == pytest.approx(sum(own) / len(own))


def check_profile(path: Path) -> None:
    lines = load_profiles(str(path.parent), ["SEX_Male"], PVQ)["SEX_Male"]
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    (bands,) = (bands for name, bands in content["theories"].items() if PVQ.is_named(name) and any(bands.values()))
    given_lines = [line for band in bands.values() for line in band]
    assert sorted(line.score for line in lines) == sorted(line["score"] for line in given_lines)
    assert {line.value_key for line in lines} == {line["value_key"].strip() for line in given_lines}


MISPLACED = ['"', '""', ",", ";", "\n", "\r\n", "\t", " ", "x", '"x"y', "\x00", "sep=;\n", "\ufeff"]


@st.composite
def tables(draw: st.DrawFn, columns: dict[str, list[str]]) -> str:
    """Texts that are tables of some columns; in about half of them something was put where it does not belong."""
    delimiter = draw(st.sampled_from(",;\t"))
    cells = [st.sampled_from(own) for own in columns.values()]
    content = io.StringIO()
    writer = csv.writer(content, delimiter=delimiter, lineterminator=draw(st.sampled_from(["\n", "\r\n"])))
    writer.writerows([columns, *draw(st.lists(st.tuples(*cells), max_size=5))])
    text = draw(st.sampled_from(["", "", f"sep={delimiter}\n"])) + content.getvalue()
    for piece in draw(st.just([]) | st.lists(st.sampled_from(MISPLACED), max_size=3)):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + piece + text[place:]
    return text


profiles = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-1, 1) | st.sampled_from(["power", "face", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["score", "definition_prompt", "value_key", "very_high", "low"]), inner)
    ),
    max_leaves=6,
)
right_lines = st.fixed_dictionaries(
    {
        "score": st.sampled_from([0.5, -1]) | st.floats(-1, 1),
        "definition_prompt": st.just("It is so."),
        "value_key": st.sampled_from(["power", "Power", " face "]),
    }
)
lines = st.fixed_dictionaries(
    {
        "score": st.sampled_from([0.5, -1, 1.5, "0.5", None, True]) | st.floats(-1, 1),
        "definition_prompt": st.sampled_from(["It is so.", "", None]),
        "value_key": st.sampled_from(["power", "Power", "face", "nothing"]),
    }
)
right_bands = st.dictionaries(st.sampled_from(["very_high", "low"]), st.lists(right_lines, max_size=2), min_size=1)
bands = st.dictionaries(st.sampled_from(["very_high", "low", "lowest"]), st.lists(lines | profiles, max_size=2))
profile_files = (
    st.fixed_dictionaries(
        {
            "attribute": st.sampled_from(["SEX_Male", "SEX_Male", "SEX_Female", None]),
            "theories": st.dictionaries(st.sampled_from(["pvq", "PVQ", "mft"]), bands | profiles, max_size=2),
        }
    )
    | st.fixed_dictionaries(
        {
            "attribute": st.just("SEX_Male"),
            "theories": st.dictionaries(st.sampled_from(["pvq", "PVQ"]), right_bands, min_size=1, max_size=1),
        }
    )
).map(json.dumps)

SCORES = ["0.5", "1e3", "nan", " 7 ", "", "0,5", "x"]
TEXTS = ["a", "b\r\nb", "b\nb", " a"]
SURVEY = tables({"question": ["a", "b", " b", "c"], "top_score": SCORES})
DECIDED = tables(
    {"text": TEXTS, "decision": ["none", "None ", "power", " > ".join(PVQ.paths("power")[0]), "", "nothing"]}
)
IDS = [text_id("a"), text_id("b\r\nb"), "", "6E+11"]
RATED = tables({"id": IDS, "text": TEXTS, "human_rating": ["7", "-3.5", "3,5", " 2", "", "11"]})
QUERIES = ["How?", "a,b", "a;\tb", "What\nnow?", " padded "]
ANSWERED = tables({"query": QUERIES, "response": ["I share.", 'say "so"', "NA", "1", "line\r\nbreak", ""]})

READERS: dict[str, tuple[str, Callable[[Path], None], st.SearchStrategy[str]]] = {
    "responses": ("r.csv", check_responses, ANSWERED),
    "relevance": ("r.csv", check_relevance, SURVEY),
    "decisions": ("r.csv", check_decisions, DECIDED),
    "ratings": ("r.csv", check_reviewed, RATED),
    "profiles": ("SEX_Male.json", check_profile, profile_files),
}


@pytest.mark.parametrize("examples", [60, pytest.param(1_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_finds_what_is_there_or_says_why_not(reader: str, examples: int, tmp_path: Path) -> None:
    name, check, files = READERS[reader]

    understood = 0

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(files)
    def read(content: Any) -> None:
        nonlocal understood
        path = tmp_path / name
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        try:
            check(path)
            understood += 1
        except InputError as error:
            told(error)

    read()
    assert understood > examples / 30
