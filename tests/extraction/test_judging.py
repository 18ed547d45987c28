"""Texts to a file of utilities: with a judge whose utilities are known, and with others asked beside it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.evaluation.simulated import Reads, anchors_table, responses_table
from tests.examples import examples
from valueflow import Utilities, evaluate_responses, extract, judge_texts
from valueflow.extraction.judging import asking, parquet
from valueflow.judge import Criterion, TextUtilities
from valueflow.run import InputError, Progress, compose_settings, write_csv
from valueflow.theory import load_theory
from valueflow.vidb import load_vidb

PVQ = load_theory("pvq")
TWO = ["power", "benevolence"]


@dataclass(frozen=True)
class Watched(Reads):
    """A judge that remembers what it was given at once, and may do something before it answers."""

    before: Callable[[Sequence[str]], None] = lambda texts: None
    batches: list[tuple[str, list[str]]] = field(default_factory=list)

    def text_utilities(self, criterion: Criterion, texts: Sequence[str], progress: Progress) -> TextUtilities:
        self.before(texts)
        self.batches.append((criterion.value, list(texts)))
        return super().text_utilities(criterion, texts, progress)


@cache
def defaults() -> dict[str, Any]:
    return compose_settings("extract", {"input": "given below", "task": "judge"})


@pytest.fixture
def vidb(tmp_path: Path) -> str:
    anchors_table().to_csv(tmp_path / "anchors.csv", index=False)
    return str(tmp_path / "anchors.csv")


def table(folder: Path, texts: Sequence[str], name: str = "texts.csv") -> str:
    frame = pd.DataFrame({"text": list(texts), "theory": "mft", "n": 1}, dtype=object)
    if name.endswith(".parquet"):
        frame.to_parquet(folder / name)
    else:
        write_csv(frame, folder / name)
    return str(folder / name)


def judged(folder: Path, source: str, vidb: str, judge: Any = None, **more: Any) -> Utilities:
    """Call with all settings, for which nothing need be composed."""
    given = {"input": source, "vidb": vidb, "judge": judge or Reads(), "theory": PVQ, "values": TWO, "progress": False}
    return judge_texts(**defaults() | given | more, output_dir=folder)


def said(n: int, seed: int = 0) -> list[str]:
    levels = np.random.default_rng(seed).uniform(-10, 10, n)
    return [f"text {number} of {level:.3f}" for number, level in enumerate(levels)]


def asked_directly(judge: Reads, texts: Sequence[str], value: str, vidb: str) -> TextUtilities:
    criterion = Criterion(PVQ, value, load_vidb(vidb, PVQ))
    return judge.text_utilities(criterion, list(texts), lambda done, failed, note="": None)


def test_the_file_holds_what_the_judge_says_and_what_the_regression_makes_of_it(tmp_path: Path, vidb: str) -> None:
    responses = responses_table(3.0)
    texts = responses["response"].tolist()
    result = judged(tmp_path / "out", table(tmp_path, texts), vidb)
    found = pd.read_parquet(result.file)
    names = [f"{value}_{what}" for what in ("utility", "intensity") for value in TWO]
    assert list(found.columns) == ["row", *names]
    assert found["row"].tolist() == list(range(1, len(texts) + 1))
    assert set(found[names].dtypes) == {np.dtype(np.float32)}
    records = {record["name"]: record for record in result.summary["values"]}
    for value in TWO:
        utility = asked_directly(Reads(), texts, value, vidb).utility
        np.testing.assert_array_equal(found[f"{value}_utility"], utility.astype(np.float32))
        settings = {"vidb": vidb, "value": value, "estimator": "regression", "judge": Reads(), "progress": False}
        evaluated = evaluate_responses(responses, **settings)
        np.testing.assert_allclose(found[f"{value}_intensity"], evaluated.scores[f"{value}_score"], atol=1e-5)
        regression = evaluated.summary["regression"]
        assert records[value]["half_width"] == pytest.approx(regression["value"]["half_width"])
        assert records[value]["anchors"] == pytest.approx(regression["value"])
        assert records[value]["mean_utility"] == pytest.approx(utility.mean(), rel=1e-6)
    assert result.summary["judge"] == {"kind": "reads", "misreading": 2.0}
    assert (result.summary["texts"], result.summary["failed"], result.summary["failures"]) == (40, 0, {})
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == result.summary
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"utilities.parquet", "summary.json"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(40))
@given(
    numbers=st.lists(st.integers(-9, 9), min_size=1, max_size=12),
    rows_per_chunk=st.integers(1, 13),
    at_once=st.integers(1, 5),
    rows_per_group=st.integers(1, 5),
    rng=st.randoms(),
)
def test_chunks_batches_and_the_order_of_rows_change_nothing(
    tmp_path: Path,
    vidb: str,
    numbers: list[int],
    rows_per_chunk: int,
    at_once: int,
    rows_per_group: int,
    rng: Any,
) -> None:
    texts = [f"said {number}" for number in numbers]
    order = rng.sample(range(len(texts)), len(texts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "TEXTS_AT_ONCE", at_once)
        patch.setattr(parquet, "ROWS_PER_GROUP", rows_per_group)
        shuffled = [texts[place] for place in order]
        judge = Watched()
        result = judged(tmp_path / "out", table(tmp_path, shuffled), vidb, judge, rows_per_chunk=rows_per_chunk)
        assert pq.ParquetFile(result.file).num_row_groups == -(-len(texts) // rows_per_group)
    assert max(len(batch) for _, batch in judge.batches) <= min(at_once, rows_per_chunk)
    assert all(len(batch) == len(set(batch)) for _, batch in judge.batches)
    found = pd.read_parquet(result.file)
    for value in TWO:
        alone = [asked_directly(Reads(), [text], value, vidb).utility[0] for text in shuffled]
        np.testing.assert_array_equal(found[f"{value}_utility"], np.float32(alone))


def test_a_judge_never_has_more_than_a_chunk_and_reads_equal_texts_once(tmp_path: Path, vidb: str) -> None:
    texts = said(20) * 3
    judge = Watched()
    result = judged(tmp_path / "out", table(tmp_path, texts, "t.parquet"), vidb, judge, rows_per_chunk=20)
    assert [value for value, _ in judge.batches] == TWO * 3
    assert [batch for _, batch in judge.batches] == [sorted(texts[:20])] * 6
    assert len(pd.read_parquet(result.file)) == 60


def test_shards_are_joined_to_the_undivided_file(tmp_path: Path, vidb: str) -> None:
    texts = said(90)
    texts[5] = texts[40] = "this one fails \0 1"
    source = table(tmp_path, texts)
    more = {"judge": Watched(), "rows_per_chunk": 16}
    whole = judged(tmp_path / "whole", source, vidb, **more)
    parts = [judged(tmp_path / "parts" / str(i), source, vidb, **more, shard=f"{i}/3") for i in (1, 2, 3)]
    assert sum(part.summary["texts"] for part in parts) == 90
    assert all(0 < part.summary["texts"] == 90 - part.summary["other_rows"] for part in parts)
    judge = Watched()
    joined = judged(tmp_path / "joined", source, vidb, **more | {"judge": judge}, merge=str(tmp_path / "parts"))
    assert joined.file.read_bytes() == whole.file.read_bytes()
    assert judge.batches == []
    own = {"timings", "started", "merged", "texts_per_second"}
    for key in {*whole.summary, *joined.summary} - own:
        assert joined.summary[key] == whole.summary[key], key
    assert whole.summary["failures"] == {"no answer": 4}


def test_failures_are_missing_numbers_that_are_counted_and_shown(
    tmp_path: Path, vidb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    class Odd(Reads):
        def _utility(self, value: str, text: str) -> float:
            return np.inf if text.startswith("odd") and value == "power" else super()._utility(value, text)

    texts = ["fine 1", "\0 2", "odd 3", "\0 2", "fine 4"]
    result = judged(tmp_path / "out", table(tmp_path, texts), vidb, Odd())
    found = pd.read_parquet(result.file)
    assert found["benevolence_utility"].isna().tolist() == [False, True, False, True, False]
    assert found["power_utility"].isna().tolist() == [False, True, True, True, False]
    for value in TWO:
        assert found[f"{value}_intensity"].isna().equals(found[f"{value}_utility"].isna())
    assert result.summary["failures"] == {"no answer": 4, asking.NOT_FINITE: 1}
    assert [record["failed"] for record in result.summary["values"]] == [3, 2]
    assert result.summary["failed"] == 5
    result.show()
    shown = capsys.readouterr().out
    assert "4 failed: no answer" in shown
    assert "5 texts in utilities.parquet" in shown
    assert result.tables()["values"]["failed"].tolist() == [3, 2]


def test_anchors_without_a_utility_are_counted_and_shown(
    tmp_path: Path, vidb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    class Blank(Reads):
        def _utility(self, value: str, text: str) -> float:
            return np.nan if value == "power" else super()._utility(value, text)

    result = judged(tmp_path / "out", table(tmp_path, ["fine 1"]), vidb, Blank(), values=["benevolence"])
    assert result.summary["failures"] == {}
    assert result.summary["anchors"]["failures"] == {asking.NOT_FINITE: 14}
    result.show()
    assert f"of anchors 14 failed: {asking.NOT_FINITE}" in capsys.readouterr().out


def test_what_judging_took_is_told_as_numbers_about_all_texts() -> None:
    def read(calls: int, word: str) -> TextUtilities:
        report = {"calls": calls, "texts_truncated": 2, "share_outside_words": 0.5, "likeliest_word": word}
        texts, none = np.array(["a", "b"], dtype=object), np.array(["", ""], dtype=object)
        return TextUtilities("pvq", "power", texts, np.zeros(2), none, {"outside": np.array([0.25, 0.5])}, report)

    took = asking.report_of([read(2, "support"), read(3, "The")])
    assert took == {"calls": 5, "texts_truncated": 2, "readings": 4, "outside_words": 1.5}


def test_reasons_without_end_are_counted_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MOST_REASONS", 2)
    counts = {"a": 3}
    for number in range(5):
        counts = asking.within_bounds(asking.added(counts, {f"call {number} failed": 2}))
    assert counts == {"a": 3, "call 0 failed": 2, asking.OTHER_REASONS: 8}


def test_hostile_texts_are_rows_like_others(tmp_path: Path, vidb: str) -> None:
    texts = [
        "{value} {text} ${oc.env:HOME} 1",
        'quoted ", and a comma\nand a line 2',
        "a bell \x07 and \x1b[31m red 3",
        "\U0001f600" * 5000 + " 4",
        "-- 5",
        "=cmd() 6",
        " blanks around  7",
    ]
    for name in ("t.csv", "t.parquet"):
        result = judged(tmp_path / f"of {name}", table(tmp_path, texts, name), vidb, rows_per_chunk=3)
        found = pd.read_parquet(result.file)
        direct = asked_directly(Reads(), texts, "power", vidb).utility
        np.testing.assert_array_equal(found["power_utility"], direct.astype(np.float32))


def test_rows_without_a_text_are_left_out_and_the_others_keep_their_numbers(tmp_path: Path, vidb: str) -> None:
    source = table(tmp_path, ["one 1", "", "three 3", " "])
    with pytest.raises(InputError, match="row 2, column 'text': the text is missing"):
        judged(tmp_path / "out", source, vidb)
    assert not (tmp_path / "out").exists()
    result = judged(tmp_path / "out", source, vidb, on_bad_row="skip")
    assert pd.read_parquet(result.file)["row"].tolist() == [1, 3]
    assert pd.read_csv(tmp_path / "out" / "skipped.csv")["row"].tolist() == [2, 4]
    with pytest.raises(InputError, match="has no row with a text"):
        judged(tmp_path / "none", table(tmp_path, ["", ""]), vidb, on_bad_row="skip")


def test_an_anchor_s_intensity_is_estimated_without_it(tmp_path: Path, vidb: str) -> None:
    anchors = anchors_table()
    texts = anchors.loc[anchors["value"] == "power", "text"].tolist()
    found = pd.read_parquet(judged(tmp_path / "out", table(tmp_path, texts), vidb).file)
    responses = pd.DataFrame({"query": "q", "dataset": "d", "response": texts})
    settings = {"vidb": vidb, "value": "power", "estimator": "regression", "judge": Reads(), "progress": False}
    scores = evaluate_responses(responses, **settings).scores["power_score"]
    np.testing.assert_allclose(found["power_intensity"], scores, atol=0.05)
    # The line that has seen an anchor lies nearer to it.
    line = np.polynomial.Polynomial.fit(found["power_utility"], found["power_intensity"], 1)
    assert np.abs(found["power_intensity"] - line(found["power_utility"])).max() > 1e-3


class Unread(Reads):
    """A judge that knows a value without anchors, too."""

    def _utility(self, value: str, text: str) -> float:
        return super()._utility("power" if value == "humility" else value, text)


def test_there_are_no_intensities_where_they_would_not_be_sound(
    tmp_path: Path, vidb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = table(tmp_path, said(10))
    blind = Unread(misreading=500.0)
    asked = ["power", "humility"]
    result = judged(tmp_path / "out", source, vidb, blind, values=asked)
    assert list(pd.read_parquet(result.file).columns) == ["row", "power_utility", "humility_utility"]
    power, humility = result.summary["values"]
    assert power["no_intensity"].startswith("the judge was not shown to order its 14 anchors (z ")
    assert "has no anchors of 'humility'" in humility["no_intensity"]
    assert power["intensity"] is power["half_width"] is humility["half_width"] is None
    result.show()
    assert "no intensities on power: the judge was not shown to order" in capsys.readouterr().out
    given_anyway = judged(tmp_path / "anyway", source, vidb, blind, values=asked, judge_check=False)
    assert "power_intensity" in pd.read_parquet(given_anyway.file).columns
    without = judged(tmp_path / "without", source, vidb, blind, regression=False)
    assert list(pd.read_parquet(without.file).columns) == ["row", *(f"{value}_utility" for value in TWO)]
    assert without.summary["anchors"] is None
    few = anchors_table(each=2)
    few.to_csv(tmp_path / "few.csv", index=False)
    result = judged(tmp_path / "few", source, str(tmp_path / "few.csv"))
    assert "needs 9 at least" in result.summary["values"][0]["no_intensity"]


def test_all_values_of_a_theory_or_those_that_are_named_in_any_spelling(tmp_path: Path, vidb: str) -> None:
    class Anything(Reads):
        def _utility(self, value: str, text: str) -> float:
            return float(len(value))

    source, more = table(tmp_path, ["a 1"]), {"regression": False, "judge": Anything()}
    everything = judged(tmp_path / "all", source, vidb, **more, values=None)
    assert [record["name"] for record in everything.summary["values"]] == list(PVQ.values)
    named = judged(tmp_path / "named", source, vidb, **more, values=["Self Direction", "caring"])
    assert [record["name"] for record in named.summary["values"]] == ["self-direction", "caring"]
    one = judge_texts(input=source, values="care/harm", theory="any", output_dir=tmp_path / "any", **more)
    assert one.summary["theory"] == "mft"
    assert pq.read_schema(one.file).names == ["row", "care-harm_utility"]


UNUSABLE: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"input": "no.csv"}, ("no.csv does not exist", "did you mean 'ok.csv'?")),
    ({"input": None}, ("'input' is not set",)),
    ({"values": ["benevolense"]}, ("value 'benevolense' is not in theory 'pvq'", "did you mean 'benevolence'?")),
    ({"values": ["power", "Power"]}, ("values: 'Power' is named twice",)),
    ({"values": []}, ("values=[]: names no value",)),
    ({"values": 5}, ("values=5: input should be a valid list",)),
    ({"values": 5, "theory": "any"}, ("value '5' is in no theory",)),
    ({"theory": "any"}, ("theory=any", "theory=pvq")),
    ({"judge": "llm", "llm": "smollm2"}, ("judge=llm ranks windows", "judge=embedding", "judge=logprob")),
    ({"judge": "panel"}, ("judge=panel ranks windows", "judge=embedding", "judge=logprob")),
    ({"judge": 3}, ("judge: is not a judge",)),
    ({"judge": Reads(), "engine": "ray"}, ("judge: actors of engine=ray build it from its settings",)),
    ({"judge.head": "distilled"}, ("judge.encoder=minilm has no distilled head",)),
    ({"judge.encoder": "./nothing"}, ("encoder './nothing': there is no such folder",)),
    ({"vidb": "nothing.csv"}, ("nothing.csv",)),
    ({"devices": "cpu"}, ("devices: task=judge does not read it",)),
    ({"model": "mpnet"}, ("model: task=judge does not read it; the encoder of judge=embedding is judge.encoder=",)),
    ({"max_characters": 5}, ("max_characters: task=judge does not read it",)),
    ({"dry_run": True}, ("dry_run: task=judge makes no plan",)),
    ({"rows_per_chunk": 0}, ("rows_per_chunk=0",)),
    ({"shard": "3/2"}, ("shard=3/2",)),
    ({"output_dir": None}, ("'output_dir' is not set",)),
]
"""Settings, and what the line must say. No model is loaded for any of it."""


@pytest.mark.parametrize(("more", "parts"), UNUSABLE, ids=[" ".join(map(str, more)) for more, _ in UNUSABLE])
def test_what_cannot_be_used_is_told_in_one_line_and_leaves_nothing(
    more: dict[str, Any], parts: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ok.csv").write_text("text\na\nb\n")
    before = set(tmp_path.iterdir())
    with pytest.raises(InputError) as caught:
        judge_texts(**{"input": "ok.csv", "theory": "pvq", "output_dir": tmp_path / "out", **more})
    told = str(caught.value)
    assert "\n" not in told
    assert all(part in told for part in parts), told
    assert set(tmp_path.iterdir()) == before


def test_extract_says_what_judges() -> None:
    with pytest.raises(InputError, match="call judge_texts to judge them"):
        extract(task="judge", input="t.csv")


@pytest.mark.parametrize("fault", [RuntimeError("out of memory"), KeyboardInterrupt(), InputError("no such model")])
def test_what_is_interrupted_leaves_no_part_of_a_file(tmp_path: Path, vidb: str, fault: BaseException) -> None:
    source = table(tmp_path, said(9))
    before = judged(tmp_path / "out", source, vidb)
    kept = before.file.read_bytes()
    beginnings = {"first": "text 0", "later": "text 7"}
    for when, start in beginnings.items():

        def break_off(texts: Sequence[str], start: str = start) -> None:
            if any(text.startswith(start) for text in texts):
                raise fault

        for folder in (f"new {when}", "out"):
            with pytest.raises(type(fault)):
                judged(tmp_path / folder, source, vidb, Watched(before=break_off), rows_per_chunk=2)
            assert not list((tmp_path / folder).glob("**/.*"))
        assert not (tmp_path / f"new {when}" / "utilities.parquet").exists()
        assert before.file.read_bytes() == kept
        # What cannot be judged at all leaves an earlier run as it was.
        assert (tmp_path / "out" / "summary.json").exists() == (when == "first")


def test_a_file_that_grows_meanwhile_ends_the_run(tmp_path: Path, vidb: str) -> None:
    source = table(tmp_path, said(3))

    def grow(texts: Sequence[str]) -> None:
        with Path(source).open("a") as stream:
            stream.write("new 1,mft,1\n")

    with pytest.raises(InputError, match="has changed while it was read"):
        judged(tmp_path / "out", source, vidb, Watched(before=grow), rows_per_chunk=1)
    assert list((tmp_path / "out").iterdir()) == []


def test_shards_that_do_not_fit_together_are_named(tmp_path: Path, vidb: str) -> None:
    source = table(tmp_path, said(30))
    folders = [tmp_path / "parts" / str(i) for i in (1, 2)]
    for i, folder in enumerate(folders, start=1):
        judged(folder, source, vidb, shard=f"{i}/2")
    more = {"merge": str(tmp_path / "parts")}
    file = folders[1] / "utilities.parquet"
    kept, whole = file.read_bytes(), pq.read_table(file)
    for content, part in (
        (kept[: len(kept) // 2], "run that shard again"),
        (whole.slice(0, 3), "utilities of shard 2/2 cannot be read (it ends early)"),
        (whole.set_column(0, "row", whole["row"].combine_chunks().take(list(range(len(whole)))[::-1])), "other rows"),
        (whole.drop_columns(["power_intensity"]), "of shards 1/2 and 2/2 one has no power_intensity"),
        (None, "run that shard again"),
    ):
        if content is None:
            file.unlink()
        elif isinstance(content, bytes):
            file.write_bytes(content)
        else:
            pq.write_table(content, file)
        with pytest.raises(InputError) as caught:
            judged(tmp_path / "joined", source, vidb, **more)
        assert part in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not list((tmp_path / "joined").glob("**/*"))
    file.write_bytes(kept)
    assert len(pd.read_parquet(judged(tmp_path / "joined", source, vidb, **more).file)) == 30
