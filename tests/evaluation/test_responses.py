"""Reading and filtering responses."""

from pathlib import Path

import pandas as pd
import pytest

from valueflow.evaluation.responses import filter_responses, load_responses
from valueflow.run.errors import InputError
from valueflow.theory import known_theories, load_theory

PVQ = load_theory("pvq")
RIGHT = load_theory("right")


def steered() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "query": ["q"] * 6,
            "dataset": ["d"] * 6,
            "response": list("abcdef"),
            "theory": ["pvq", "PVQ", "pvq", "rights", "pvq", "pvq"],
            "value": ["Self-Direction", "self direction", "power", "civil rights", "power", "power"],
            "intensity": ["-2", "2", "2.0", "2", "-2", ""],
            "model": ["m1", "m1", "m1", "m1", "m2", "m2"],
        }
    )


def kept(value: str, intensity: int | None = None, model: str | None = None) -> str:
    theory = RIGHT if value == "civil_rights" else PVQ
    frame = filter_responses(steered(), "file", theory, value, intensity, model)
    assert frame.index.tolist() == list(range(len(frame)))
    return "".join(frame["response"])


def test_columns_that_are_there_filter() -> None:
    assert kept("self-direction") == "ab"
    assert kept("self-direction", intensity=2) == "b"
    assert kept("power") == "cef"
    assert kept("power", model="m2") == "ef"
    assert kept("power", intensity=2, model="m1") == "c"
    assert kept("civil_rights") == "d"


def test_columns_that_are_not_there_filter_nothing() -> None:
    frame = steered()[["query", "dataset", "response"]]
    assert len(filter_responses(frame, "file", PVQ, "power", 2, "m1")) == 6


def test_an_empty_selection_is_told_with_what_there_is() -> None:
    with pytest.raises(InputError, match="file: no response has value 'face'"):
        kept("face")
    with pytest.raises(InputError, match=r"no response has intensity '1'; .*2"):
        kept("power", intensity=1)
    with pytest.raises(InputError, match="no response has model 'm3'; did you mean 'm[12]'"):
        kept("power", model="m3")


def test_a_file_is_read_as_it_stands(tmp_path: Path) -> None:
    frame = pd.DataFrame({"q": ["", "NA"], "dataset": ["d", ""], "answer": ["None", "two\nlines"], "extra": [1, 2]})
    frame.to_csv(tmp_path / "r.csv", index=False, encoding="utf-8-sig")
    read, name = load_responses(str(tmp_path / "r.csv"), {"query": "q", "response": "answer"})
    assert read[["query", "dataset", "response"]].to_numpy().tolist() == [["", "d", "None"], ["NA", "", "two\nlines"]]
    assert name.endswith("r.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"query,dataset,response\n", "has no rows below its header"),
        (b"query,dataset,respons\nq,d,r\n", "column 'response' is missing; did you mean 'respons'"),
        (b"query,dataset,response\nq,d,\n", "row 1, column 'response': the text is missing"),
        (b"query,dataset,response\nq,d,caf\xe9\n", "is not UTF-8 (byte 0xe9"),
        ("query,dataset,response\nq,d,r\n".encode("utf-16"), "is not UTF-8"),
        (b"query,dataset,response\nq,d,r,extra\n", "not a readable table"),
        (b'query,dataset,response\nq,d,"never closed\n', "not a readable table"),
    ],
)
def test_broken_files_are_told_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_responses(str(path), {})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    (tmp_path / "responses.csv").write_text("x")
    with pytest.raises(InputError, match="does not exist; did you mean 'responses.csv'"):
        load_responses(str(tmp_path / "response.csv"), {})
    with pytest.raises(InputError, match="is a folder; give a CSV or Parquet file"):
        load_responses(str(tmp_path), {})
    with pytest.raises(InputError, match="'answer' is no column of ours"):
        load_responses(None, {"answer": "response"})
    with pytest.raises(InputError, match="the table has no rows"):
        load_responses(pd.DataFrame({"query": [], "dataset": [], "response": []}), {})


def test_demo_responses_are_graded_and_balanced() -> None:
    frame, name = load_responses(None, {})
    assert name == "demo"
    counts = frame.groupby(["theory", "value", "intensity"]).size()
    assert counts.min() >= 6
    assert set(frame["intensity"]) == {"-2", "-1", "0", "1", "2"}
    for theory in known_theories():
        values = set(frame.loc[frame["theory"] == theory.name, "value"])
        assert values
        assert values <= set(theory.values)
    assert not frame.duplicated(["query", "response"]).any()


def test_tables_of_odd_shape_are_told() -> None:
    row = {"query": ["q"], "dataset": ["d"], "response": ["r"]}
    twice = pd.concat([pd.DataFrame(row), pd.DataFrame({"query": ["p"]})], axis=1)
    with pytest.raises(InputError, match="column 'query' stands twice"):
        load_responses(twice, {})
    with pytest.raises(InputError, match="row 1, column 'response': half a character"):
        load_responses(pd.DataFrame(row | {"response": ["\ud83d"]}, dtype=object), {})
    with pytest.raises(InputError, match="row 1, column 'query': half a character"):
        load_responses(pd.DataFrame(row | {"query": ["\udc00"]}, dtype=object), {})
    lists = pd.DataFrame(row | {"value": [["power"]]})
    with pytest.raises(InputError, match="no response has value 'power'"):
        filter_responses(lists, "table", PVQ, "power", None, None)


@pytest.mark.parametrize("suffix", ["csv.gz", "csv.zip", "csv.xz", "csv.zst"])
def test_files_that_only_look_compressed_are_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r.{suffix}"
    path.write_bytes(b"\x1f\x8b\xff\x00 not what it says")
    with pytest.raises(InputError, match="is not UTF-8|not a readable table|column 'query' is missing"):
        load_responses(str(path), {})
