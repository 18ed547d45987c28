"""Reading and filtering responses."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from valueflow.responses import filter_responses, load_responses, steered_to
from valueflow.run import BadRows, InputError
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
            "steering": ["prompt", "prompt", "vector", "prompt", "prompt", "vector"],
        }
    )


def kept(value: str, frame: pd.DataFrame | None = None, **settings: Any) -> str:
    theory = RIGHT if value == "civil_rights" else PVQ
    left, labels = filter_responses(steered() if frame is None else frame, "file", theory, value, **settings)
    assert labels == []
    assert left.index.tolist() == list(range(len(left)))
    return "".join(left["response"])


def test_columns_that_are_there_filter() -> None:
    assert kept("self-direction") == "ab"
    assert kept("self-direction", intensity=2) == "b"
    assert kept("power") == "cef"
    assert kept("power", model="m2") == "ef"
    assert kept("power", intensity=2, model="m1") == "c"
    assert kept("power", steered_by="vector") == "cf"
    assert kept("power", steered_by="prompt", model="m2") == "e"
    assert kept("civil_rights") == "d"


@pytest.mark.parametrize("left", [["query", "dataset", "response"], None], ids=["missing", "empty"])
def test_columns_that_are_not_there_or_empty_filter_nothing(left: list[str] | None) -> None:
    frame = steered()[left] if left else steered().assign(theory="", value=" ", intensity="", model="", steering="")
    assert "".join(filter_responses(frame, "file", PVQ, "power")[0]["response"]) == "abcdef"
    rows, labels = filter_responses(frame, "file", PVQ, "power", intensity=2, model="m1", steered_by="prompt")
    assert len(rows) == 6
    assert sorted(labels) == ["intensity", "model", "steered_by"]


def test_a_column_filters_by_the_rows_that_the_ones_before_it_left() -> None:
    """Responses of a model that was not steered stand beside those of one that was."""
    plain = steered().assign(response=list("uvwxyz"), steering="none", theory="", value="", intensity="", model="m1")
    both = pd.concat([steered(), plain], ignore_index=True)
    assert kept("power", both) == "cef"
    assert kept("power", both, intensity=-2) == "e"
    rows, labels = filter_responses(both, "file", PVQ, "power", intensity=2, model="m1", steered_by="none")
    assert "".join(rows["response"]) == "uvwxyz"
    assert labels == ["intensity"]
    with pytest.raises(InputError, match="no response has model 'm2'; did you mean 'm1'"):
        filter_responses(both, "file", PVQ, "power", model="m2", steered_by="none")


def test_a_response_steered_to_several_values_is_one_to_each() -> None:
    frame = pd.DataFrame(
        {
            "response": list("abcdef"),
            "value": [
                "benevolence|universalism",
                "Universalism | Benevolence",
                "universalism",
                "power|benevolence",
                "universalism|power",
                "power",
            ],
            "intensity": ["2|-1", "2|-1", "-1", "-1|-1", "", "2"],
        }
    )
    assert kept("universalism", frame) == "abce"
    assert kept("universalism", frame, intensity=-1) == "ac"
    assert kept("universalism", frame, intensity=2) == "b"
    assert kept("benevolence", frame, intensity=-1) == "bd"
    assert kept("power", frame, intensity=-1) == "d"
    with pytest.raises(InputError, match="no response has intensity '1'; .*Known: -1, 2$"):
        kept("benevolence", frame, intensity=1)
    with pytest.raises(InputError, match="no response has value 'face'; .*Known: .*benevolence, power, universalism$"):
        kept("face", frame)
    # Without values no place is known.
    assert kept("power", frame.drop(columns="value"), intensity=-1) == "c"


@pytest.mark.parametrize(
    ("value", "intensity"), [("power|face", "2"), ("power", "2|1"), ("power|face", "1|2|0"), ("power|face", "|1|")]
)
def test_as_many_intensities_as_values(tmp_path: Path, value: str, intensity: str) -> None:
    table = pd.DataFrame({"query": "q", "dataset": "d", "response": ["r", "s", "t"]})
    table = table.assign(value=["power|face", "face|power", value], intensity=["1|2", "", intensity])
    table.to_csv(tmp_path / "r.csv", index=False)
    with pytest.raises(InputError, match=r"r\.csv, row 3: .*each value its intensity, joined by \|") as caught:
        load_responses(str(tmp_path / "r.csv"), {})
    assert f"'{value}'" in str(caught.value)
    assert f"'{intensity}'" in str(caught.value)


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
        (b"query,dataset,response\nq,d,cr\xe8me\n", "is not UTF-8 (byte 0xe8"),
        (b"query,dataset,response\nq,d,r,extra\n", "row 1 has 4 cells, the header 3"),
        (b'query,dataset,response\nq,d,"never closed\n', "row 1: a quotation mark is opened and never closed"),
        (b"query,dataset,response,response\nq,d,a,b\n", "column 'response' appears twice"),
    ],
)
def test_broken_files_are_told_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_responses(str(path), {})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def write(path: Path, rows: dict[str, list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"query": "q", "dataset": "d", **rows}).to_csv(path, index=False)


def test_a_folder_is_all_its_files_of_responses_in_the_order_of_the_jobs(tmp_path: Path) -> None:
    write(tmp_path / "10" / "responses.csv", {"response": ["e"], "steering": ["prompt"]})
    write(tmp_path / "2" / "responses.csv", {"response": ["c", "d"], "value": ["power", ""]})
    write(tmp_path / "0" / "responses.csv", {"response": ["a", "b"], "intensity": ["-2", "2"], "extra": ["x", "NA"]})
    write(tmp_path / "0" / ".hydra" / "responses.csv", {"response": ["hidden"]})
    write(tmp_path / "1" / "other.csv", {"response": ["other"]})
    source = f"{tmp_path}/"
    frame, name = load_responses(source, {})
    assert name == source
    assert frame.index.tolist() == list(range(5))
    assert "".join(frame["response"]) == "abcde"
    assert frame["intensity"].tolist() == ["-2", "2", "", "", ""]
    assert frame["extra"].tolist() == ["x", "NA", "", "", ""]
    assert frame["value"].tolist() == ["", "", "power", "", ""]
    assert frame["steering"].tolist() == ["", "", "", "", "prompt"]


def test_a_broken_file_of_a_folder_is_named(tmp_path: Path) -> None:
    write(tmp_path / "0" / "responses.csv", {"answer": ["a", "b"]})
    write(tmp_path / "1" / "responses.csv", {"answer": ["a", " "]})
    with pytest.raises(InputError, match=r"1/responses\.csv, row 2, column 'response': the text is missing"):
        load_responses(str(tmp_path), {"response": "answer"})
    with pytest.raises(
        InputError, match=r"0/responses\.csv: column 'response' is missing; Known: query, dataset, answer"
    ):
        load_responses(str(tmp_path), {})


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    (tmp_path / "responses.txt").write_text("x")
    with pytest.raises(InputError, match="does not exist; did you mean 'responses.txt'"):
        load_responses(str(tmp_path / "response.txt"), {})
    with pytest.raises(InputError, match=f"the folder {tmp_path} holds no file named responses.csv, and none named"):
        load_responses(str(tmp_path), {})
    with pytest.raises(InputError, match="unknown column 'answer'"):
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
    with pytest.raises(InputError, match="column 'query' appears twice"):
        load_responses(twice, {})
    with pytest.raises(InputError, match="row 1, column 'response': half a character"):
        load_responses(pd.DataFrame(row | {"response": ["\ud83d"]}, dtype=object), {})
    with pytest.raises(InputError, match="row 1, column 'query': half a character"):
        load_responses(pd.DataFrame(row | {"query": ["\udc00"]}, dtype=object), {})
    with pytest.raises(InputError, match="row 1, column 'value': holds a list of 1, not a text"):
        load_responses(pd.DataFrame(row | {"value": [["power"]]}), {})


def test_numbers_and_gaps_of_a_table_filter_as_those_of_a_file() -> None:
    table = pd.DataFrame({"query": "q", "dataset": "d", "response": list("abc")})
    table = table.assign(intensity=[2.0, None, -1.0], model=[7, 7, 8], value=[None, "power", "power"], steering=None)
    frame, _ = load_responses(table, {})
    assert kept("power", frame, model="7") == "b"
    assert kept("power", frame, intensity=-1) == "c"
    assert kept("power", frame.drop(columns="value"), intensity=2) == "a"
    assert filter_responses(frame, "table", PVQ, "power", steered_by="prompt")[1] == ["steered_by"]


@pytest.mark.parametrize("suffix", ["csv.gz", "csv.zip", "csv.xz", "csv.zst"])
def test_files_that_only_look_compressed_are_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r.{suffix}"
    path.write_bytes(b"\x1f\x8b\xff\x00 not what it says")
    with pytest.raises(InputError, match="is compressed by gzip, and damaged"):
        load_responses(str(path), {})


def test_the_dataset_may_be_missing_and_other_columns_something_else(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"query": ["How?", "Why?"], "response": ["a", "b"], "value": [0.73, 0.12], "model": ["x", "y"]}
    )
    frame.to_csv(tmp_path / "r.csv", index=False)
    read, _ = load_responses(str(tmp_path / "r.csv"), {})
    assert read["dataset"].tolist() == ["", ""]
    with pytest.raises(
        InputError, match=r"no response has value 'power'; Known: 0.12, 0.73; .* response_columns\.value=null"
    ):
        filter_responses(read, "r.csv", PVQ, "power")
    own, _ = load_responses(str(tmp_path / "r.csv"), {"value": None, "model": None})
    left, labels = filter_responses(own, "r.csv", PVQ, "power", model="m")
    assert left["response"].tolist() == ["a", "b"]
    assert labels == ["model"]
    with pytest.raises(InputError, match="column 'response' is needed"):
        load_responses(str(tmp_path / "r.csv"), {"response": None})


def test_conversations_are_a_query_and_a_response(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "How?"}, {"role": "assistant", "content": "I share."}]
    path = tmp_path / "r.jsonl"
    pd.DataFrame({"messages": [chat]}).to_json(path, orient="records", lines=True)
    read, _ = load_responses(str(path), {"query": "messages", "response": "messages"})
    assert read[["query", "response"]].to_numpy().tolist() == [["How?", "I share."]]


def test_rows_without_a_response_are_skipped_and_listed(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("query,dataset,response\nq,d,a\n,,\nq,d,\nq,d,b\n")
    bad = BadRows("skip")
    read, _ = load_responses(str(tmp_path / "r.csv"), {}, bad)
    assert read["response"].tolist() == ["a", "b"]
    assert read.index.tolist() == [0, 1]
    assert [(row["row"], row["column"]) for row in bad.skipped] == [(3, "response")]


def test_rows_whose_conversations_lack_a_speaker_are_skipped_and_listed(tmp_path: Path) -> None:
    asked, said = {"role": "user", "content": "How?"}, {"role": "assistant", "content": "I share."}
    rows = [[asked], [asked, said], [said], [{**said, "content": "<think>Hm."}]]
    path = tmp_path / "r.jsonl"
    path.write_text("".join(json.dumps({"query": row, "response": row}) + "\n" for row in rows[:3]))
    with pytest.raises(InputError, match="row 1, column 'response': its chat messages hold no text of the assistant"):
        load_responses(str(path), {})
    bad = BadRows("skip")
    read, _ = load_responses(str(path), {}, bad)
    assert read[["query", "response"]].to_numpy().tolist() == [["How?", "I share."]]
    assert [(row["row"], row["column"]) for row in bad.skipped] == [(1, "response"), (3, "query")]
    # A row that is left out for its thoughts has the number of the file, too.
    path.write_text("".join(json.dumps({"query": "q", "response": row}) + "\n" for row in rows))
    bad = BadRows("skip")
    assert load_responses(str(path), {}, bad)[0]["response"].tolist() == ["I share.", "I share."]
    assert [row["row"] for row in bad.skipped] == [1, 4]


def test_a_dataset_of_the_hub_is_a_table_too(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = {"query": ["How?"], "response": ["a"]}
    datasets.Dataset.from_dict(rows).save_to_disk(str(tmp_path / "d"))
    read, name = load_responses(f"hf://{tmp_path}/d", {})
    assert read["response"].tolist() == ["a"]
    assert name == f"hf://{tmp_path}/d"
    with pytest.raises(InputError, match="responses: the dataset hf://.* could not be loaded"):
        load_responses(f"hf://{tmp_path}/none", {})


def test_files_that_are_named_as_published_say_what_was_steered_to(tmp_path: Path) -> None:
    folder = tmp_path / "query_responses" / "single_definition" / "right"
    folder.mkdir(parents=True)
    rows = pd.DataFrame({"query": ["q1", "q2"], "dataset": ["gpv", "moral_choice"], "response": ["yes", "no"]})
    sets = "gpv-moral_choice"
    names = {
        f"my_gpt_{sets}_single_definition_civil_rights_-2.csv": ("my_gpt", "single_definition", "civil_rights", "-2"),
        f"phi-4_{sets}_user_texts_civil_rights_1_2.csv": ("phi-4", "user_texts", "civil_rights", "1"),
        f"phi-4_{sets}_default_None_None.csv": ("phi-4", "default", "", ""),
    }
    for name in names:
        rows.to_csv(folder / name, index=False, encoding="utf-8-sig")
    both = rows.assign(target_values="civil_rights|social_rights", prompt_intensities="2|-1", multiple_n=2)
    both.to_csv(folder / f"phi-4_{sets}_multiple_definition_civil_rights_social_rights_2_-1_mn2_k2.csv", index=False)
    (folder / "notes.csv").write_text("nothing")
    frame, _ = load_responses(str(tmp_path), {})
    assert len(frame) == 8
    columns = ["model", "steering", "value", "intensity"]
    found = {tuple(row) for row in frame[columns].to_numpy()}
    several = ("phi-4", "multiple_definition", "civil_rights|social_rights", "2|-1")
    assert found == {*names.values(), several}
    # What our own runs leave goes first.
    rows.to_csv(folder / "responses.csv", index=False)
    assert len(load_responses(str(tmp_path), {})[0]) == 2


def test_a_column_goes_before_the_name_of_a_published_file(tmp_path: Path) -> None:
    rows = pd.DataFrame({"query": ["q"], "dataset": ["gpv"], "response": ["yes"], "intensity": ["0"]})
    rows.to_csv(tmp_path / "m_gpv_single_definition_power_2.csv", index=False)
    frame, _ = load_responses(str(tmp_path), {})
    assert frame[["value", "intensity"]].to_numpy().tolist() == [["power", "0"]]


@pytest.mark.parametrize(
    ("cells", "levels"),
    [(["", " "], []), (["2", "-1", "2"], [-1, 2]), (["2|-1", "0"], [-1, 0, 2]), (["strong", ""], [])],
)
def test_intensities_that_responses_were_steered_to(cells: list[str], levels: list[int]) -> None:
    assert steered_to(pd.DataFrame({"response": "a", "intensity": cells})) == levels
    assert steered_to(pd.DataFrame({"response": ["a"]})) == []
