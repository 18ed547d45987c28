"""Profiles of groups, end to end: with a judge that knows the truth, and with the real encoder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.profiling.simulated import DUTY, Every, KnowingJudge, texts_of, write_anchors
from valueflow import profile
from valueflow.judge import Criterion, RankedWindows, Windows
from valueflow.opinionqa import load_profiles
from valueflow.profiling import Profiles
from valueflow.run import InputError, Progress
from valueflow.theory import load_theory

MEANS = {"high": 6.0, "middle": 0.0, "low": -6.0}


def found_in(folder: Path, texts: pd.DataFrame | None = None, **more: Any) -> Profiles:
    source = folder / "texts.csv"
    (texts_of(MEANS) if texts is None else texts).to_csv(source, index=False)
    anchors = folder / "anchors.csv"
    given = {
        "input": str(source),
        "theory": "duty",
        "vidb": str(anchors) if anchors.exists() else write_anchors(folder),
        "judge": KnowingJudge(),
        "relevance": Every(),
        "progress": False,
    }
    return profile(**(given | more))


def test_means_are_those_of_the_groups_and_files_are_as_the_contract_says(tmp_path: Path) -> None:
    judge, out = KnowingJudge(), tmp_path / "out"
    found = found_in(tmp_path, judge=judge, output_dir=out)
    means = found.table.pivot(index="group", columns="value", values="mean").loc[list(MEANS), list(DUTY.values)]
    np.testing.assert_allclose(means.mean(axis=1), list(MEANS.values()), atol=0.5)
    assert judge.batches == [(value, 3 * 36) for value in DUTY.values]
    by_group = found.table.groupby("group")["differs"].sum()
    assert (by_group["high"], by_group["middle"], by_group["low"]) == (7, 0, 7)
    assert set(found.table["n"]) == {12}
    assert set(found.table["clusters"]) == {6}
    pd.testing.assert_frame_equal(pd.read_csv(out / "profiles.csv"), pd.read_parquet(out / "profiles.parquet"))
    pairs = pd.read_parquet(out / "pairs.parquet")
    assert len(pairs) == found.summary["theories"]["duty"]["pairs"] == 36 * 7
    truth = pairs["text"].str.split("|").map(lambda parts: [float(part) for part in parts])
    own = np.array([parts[DUTY.values.index(value)] for parts, value in zip(truth, pairs["value"], strict=True)])
    assert np.corrcoef(own, pairs["score"])[0, 1] > 0.95
    assert {f"{kind}.{suffix}" for kind in ("profiles", "heatmap", "map") for suffix in ("png", "svg")} <= {
        path.name for path in out.iterdir()
    }
    profiles = load_profiles(str(out / "profiles"), list(MEANS), DUTY)
    assert {line.value_key for line in profiles["high"]} == set(DUTY.values)
    written = json.loads((out / "profiles" / "low.json").read_text(encoding="utf-8"))
    assert written["n_total"] == 12
    lines = written["theories"]["duty"]["very_low"] + written["theories"]["duty"]["low"]
    first = DUTY.nodes[lines[0]["value_key"]]
    assert lines[0]["definition_raw"] == f"{first.label}: {first.definition}"
    assert f"care {'little ' if lines[0]['score'] > -0.6 else ''}about {first.label}: " in lines[0]["definition_prompt"]


def test_the_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    texts = texts_of(MEANS)
    once, again = found_in(tmp_path, texts), found_in(tmp_path, texts.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(once.table, again.table, rtol=1e-5)


def test_persons_are_clusters_or_what_is_profiled(tmp_path: Path) -> None:
    texts = texts_of({"one": 3.0})
    alone = found_in(tmp_path, texts.drop(columns="person"))
    together = found_in(tmp_path, texts)
    assert set(alone.table["clusters"]) == {12}
    assert set(together.table["clusters"]) == {6}
    persons = found_in(tmp_path, texts, by="person")
    assert persons.table["group"].nunique() == 6
    assert persons.summary["by"] == "person"


def test_weights_by_relevance_move_means_toward_relevant_texts(tmp_path: Path) -> None:
    strong, weak = texts_of({"one": 5.0}, seed=1), texts_of({"one": -5.0}, seed=2)
    # Relevance rises with the length of a text here.
    strong["text"] = " " * 60 + strong["text"]
    texts = pd.concat([strong, weak])
    plain, weighted = found_in(tmp_path, texts), found_in(tmp_path, texts, weights="relevance")
    assert (weighted.table["mean"] > plain.table["mean"] + 0.5).all()


def test_a_group_with_one_text_has_means_without_an_interval_and_is_counted(tmp_path: Path) -> None:
    texts = pd.concat([texts_of({"many": 4.0}), texts_of({"single": -4.0}, n=1)])
    found = found_in(tmp_path, texts)
    own = found.table[found.table["group"] == "single"]
    assert own["mean"].notna().all()
    assert own["low"].isna().all()
    assert own["p"].isna().all()
    assert found.summary["without_interval"] == 1


def test_normalization_over_groups_and_levels(tmp_path: Path) -> None:
    found = found_in(
        tmp_path,
        normalization={"_target_": "valueflow.profiling.Normalization", "method": "minmax", "within": "groups"},
    )
    scores = found.table.groupby("group")["score"]
    assert (scores.min()["high"], scores.max()["low"]) == (1, -1)
    levels = found.table.groupby("group")["level"].agg(set)
    assert levels["high"] == {"very_high"}
    assert levels["low"] == {"very_low"}


class OrderedJudge(KnowingJudge):
    """Orders anchors as they are rated and puts every text above the lower half of them."""

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        ratings = windows.anchor_set.intensities[windows.anchors]
        places = np.column_stack([np.median(ratings, axis=1) + 0.1, ratings])
        return windows.ranked(np.argsort(-places, axis=1) + 1)


@pytest.mark.slow
def test_several_theories_are_profiled_in_one_run(tmp_path: Path) -> None:
    found = profile(
        survey="demo",
        theory="any",
        judge=OrderedJudge(),
        relevance=Every(),
        m=1,
        output_dir=tmp_path,
        progress=False,
    )
    assert set(found.table["theory"]) == {"pvq", "mft", "duty", "right"}
    assert sorted(path.name for path in tmp_path.glob("relevance*")) == [
        f"relevance_{name}.csv" for name in ("duty", "mft", "pvq", "right")
    ]
    assert {f"map_{name}.svg" for name in ("duty", "mft", "pvq", "right")} <= {path.name for path in tmp_path.iterdir()}
    groups = found.table["group"].unique().tolist()
    for name in ("pvq", "mft", "duty", "right"):
        theory = load_theory(name)
        lines = load_profiles(str(tmp_path / "profiles"), groups, theory)
        assert all(len(own) == len(theory.values) for own in lines.values())


def test_a_dry_run_judges_nothing_and_tells_what_it_would_ask(tmp_path: Path) -> None:
    judge = KnowingJudge()
    dry = found_in(tmp_path, judge=judge, dry_run=True, output_dir=tmp_path / "dry")
    assert judge.batches == []
    assert dry.summary["plan"]["pairs"] == 36 * 7
    assert [path.name for path in (tmp_path / "dry").iterdir()] == ["summary.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda texts: texts.rename(columns={"group": "party", "person": "p"}),
            "no column 'group', 'model' or 'person'",
        ),
        (lambda texts: texts.assign(group=["", *texts["group"][1:]]), "row 1, column 'group': it does not say who"),
        (lambda texts: texts.assign(text=[" ", *texts["text"][1:]]), "row 1, column 'text': the text is missing"),
        (
            lambda texts: texts.assign(group=["a/b" if row % 2 else "a:b" for row in range(36)]),
            "would share the file a_b.json",
        ),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(tmp_path: Path, change: Any, message: str) -> None:
    judge = KnowingJudge()
    with pytest.raises(InputError, match="^[^\n]+$") as told:
        found_in(tmp_path, change(texts_of(MEANS)), judge=judge)
    assert message in str(told.value)
    assert judge.batches == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"input": None}, "nothing to profile: give input=FILE"),
        ({"survey": "demo"}, "input=... and survey=... are both given"),
        ({"by": "model"}, "no column 'model' says who said each text"),
        ({"theory": "virtues"}, "theory 'virtues' is unknown"),
        ({"statement": "yes"}, "must hold {option} once"),
        ({"vidb": "demo", "theory": "pvq", "relevance": Every(threshold=2.0)}, "lower relevance.threshold (now 2.0)"),
        ({"modell": "x"}, "unknown setting 'modell'; did you mean 'model'?"),
    ],
)
def test_settings_that_cannot_be_are_told_in_one_line(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match="^[^\n]+$") as told:
        found_in(tmp_path, **given)
    assert message in str(told.value)


def test_rows_that_cannot_be_used_are_skipped_and_listed(tmp_path: Path) -> None:
    texts = texts_of(MEANS)
    texts.loc[3, "text"] = ""
    texts.loc[5, "group"] = ""
    found = found_in(tmp_path, texts, on_bad_row="skip", output_dir=tmp_path / "out")
    assert found.summary["read"] == 34
    assert len(pd.read_csv(tmp_path / "out" / "skipped.csv")) == 2
