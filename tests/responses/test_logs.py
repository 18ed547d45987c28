"""Responses out of the logs of other tools, in the shapes that these write."""

import gzip
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from valueflow.responses import load_responses
from valueflow.run import BadRows, InputError

HEADER = {
    "version": 2,
    "status": "success",
    "eval": {"task": "promises", "model": "openai/m1", "dataset": {"name": "vows", "samples": 3}},
}


def sample(name: str, given: Any, content: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "epoch": 1,
        "input": given,
        "output": {
            "model": "m1",
            "choices": [{"message": {"role": "assistant", "content": content}, "stop_reason": "stop"}],
            "completion": "the completion",
        },
        **more,
    }


SAMPLES = [
    sample("2", "Why keep a vow?", "Because I gave it."),
    sample(
        "10",
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "And if it costs?"}],
        [{"type": "reasoning", "reasoning": "They doubt me."}, {"type": "text", "text": "Then it costs."}],
    ),
]


def packed(path: Path, samples: list[dict[str, Any]], header: str = "header.json") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_journal/start.json", json.dumps(HEADER))
        if header != "_journal/start.json":
            archive.writestr(header, json.dumps(HEADER))
        for entry in samples:
            archive.writestr(f"samples/{entry['id']}_epoch_1.json", json.dumps(entry))
        archive.writestr("summaries.json", "[]")
    return path


EXPECTED = [
    {"query": "Why keep a vow?", "dataset": "vows", "response": "Because I gave it.", "model": "m1"},
    {"query": "And if it costs?", "dataset": "vows", "response": "Then it costs.", "model": "m1"},
]


@pytest.mark.parametrize("header", ["header.json", "_journal/start.json"])
def test_a_log_of_inspect(tmp_path: Path, header: str) -> None:
    frame, _ = load_responses(str(packed(tmp_path / "log.eval", SAMPLES[::-1], header)), {})
    assert frame.to_dict("records") == EXPECTED


def zstandard(path: Path, *, damaged: bool = False) -> Path:
    """Pack a log again by Zstandard, as newer versions of Inspect write it; zipfile can only store, so it is told."""
    with zipfile.ZipFile(packed(path.with_suffix(".zip"), SAMPLES)) as plain:
        members = {name: plain.read(name) for name in plain.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            by_zstandard = pa.compress(content, codec="zstd", asbytes=True)
            archive.writestr(name, by_zstandard)
            member = archive.getinfo(name)
            member.compress_type, member.file_size = 93, len(content)
            member.CRC = zlib.crc32(b"other" if damaged else content)
    return path


def test_a_log_packed_by_zstandard(tmp_path: Path) -> None:
    frame, _ = load_responses(str(zstandard(tmp_path / "log.eval")), {})
    assert frame.sort_values("query", ascending=False).to_dict("records") == EXPECTED
    with pytest.raises(InputError, match=r"the log .*bad\.eval is damaged"):
        load_responses(str(zstandard(tmp_path / "bad.eval", damaged=True)), {})
    cut = tmp_path / "cut.eval"
    cut.write_bytes((tmp_path / "log.eval").read_bytes().replace(b"\x28\xb5\x2f\xfd", b"\x00\x00\x00\x00"))
    with pytest.raises(InputError, match=r"the log .*cut\.eval is damaged"):
        load_responses(str(cut), {})


def test_a_log_of_inspect_as_json(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps({**HEADER, "samples": SAMPLES}))
    assert load_responses(str(path), {})[0].to_dict("records") == EXPECTED


def test_a_sample_without_an_answer_is_a_bad_row(tmp_path: Path) -> None:
    failed = {"id": "11", "epoch": 1, "input": "What now?", "output": {"choices": []}, "error": {"message": "timeout"}}
    path = packed(tmp_path / "log.eval", [*SAMPLES, failed])
    with pytest.raises(InputError, match="row 3, column 'response': the text is missing"):
        load_responses(str(path), {})
    bad = BadRows("skip")
    assert len(load_responses(str(path), {}, bad)[0]) == 2
    assert bad.skipped[0]["row"] == 3


def test_a_log_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "cut.eval").write_bytes(packed(tmp_path / "log.eval", SAMPLES).read_bytes()[:200])
    with pytest.raises(InputError, match=r"the log .*cut\.eval is damaged"):
        load_responses(str(tmp_path / "cut.eval"), {})
    with pytest.raises(InputError, match="holds no samples .its status is 'success'"):
        load_responses(str(packed(tmp_path / "none.eval", [])), {})


def lm_eval(doc: int, **more: Any) -> dict[str, Any]:
    return {
        "doc_id": doc,
        "doc": {"question": f"q{doc}"},
        "target": "x",
        "arguments": {"gen_args_0": {"arg_0": f"Q: q{doc}\nA:", "arg_1": {"until": ["\n"]}}},
        "resps": [[f" answer {doc}"]],
        "filtered_resps": [str(doc)],
        "filter": "none",
        "exact_match": 0.0,
        **more,
    }


def lines(path: Path, rows: list[dict[str, Any]]) -> str:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


@pytest.mark.parametrize("name", ["samples_vows_2026-01-02T03-04-05.678901.jsonl", "samples_vows.jsonl.gz"])
def test_samples_of_lm_eval(tmp_path: Path, name: str) -> None:
    older = lm_eval(1, arguments=[["Q: q1\nA:", {"until": ["\n"]}]], resps=[["one", "two"]])
    frame, _ = load_responses(lines(tmp_path / name, [lm_eval(0), older]), {})
    assert frame.to_dict("records") == [
        {"query": "Q: q0\nA:", "dataset": "vows", "response": " answer 0"},
        {"query": "Q: q1\nA:", "dataset": "vows", "response": "one"},
        {"query": "Q: q1\nA:", "dataset": "vows", "response": "two"},
    ]


def test_each_sample_counts_once_whatever_the_filters(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [lm_eval(doc, filter=name) for name in ("strict", "flexible") for doc in (0, 1)]
    frame, _ = load_responses(lines(tmp_path / "samples_t.jsonl", rows), {})
    assert frame["response"].tolist() == [" answer 0", " answer 1"]
    assert "each of 2 filters; each counts once" in caplog.text


def test_likelihoods_are_no_responses(tmp_path: Path) -> None:
    path = lines(tmp_path / "samples_t.jsonl", [lm_eval(0), lm_eval(1, resps=[[[-1.5, True]]])])
    with pytest.raises(InputError, match="row 2, column 'resps': .* the task compares likelihoods"):
        load_responses(path, {})


OURS = {
    "valueflow": {
        "query": "Why keep a vow?",
        "dataset": "open_questions",
        "theory": "pvq",
        "value": "power",
        "intensity": "-1",
        "steering": "anchor",
    }
}


def test_samples_of_our_tasks_say_what_they_are_of(tmp_path: Path) -> None:
    asked = sample("1", "With this in mind: why keep a vow?", "For fear.", metadata=OURS)
    foreign = sample("2", "And if it costs?", "Then it costs.", metadata={"value": "cost", "valueflow": 3})
    said = {"response": "For fear.", **OURS["valueflow"]}
    rows = load_responses(str(packed(tmp_path / "log.eval", [asked, foreign])), {})[0].to_dict("records")
    assert rows[0] == {**said, "model": "m1"}
    assert {name: entry for name, entry in rows[1].items() if entry} == EXPECTED[1]
    row = lm_eval(0, resps=[["For fear."]]) | {"doc": {"text": "x", **OURS}}
    path = lines(tmp_path / "samples_t.jsonl", [row])
    assert load_responses(path, {})[0].to_dict("records") == [said]
