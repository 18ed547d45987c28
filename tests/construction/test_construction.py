"""Databases built by judges that know the truth, in this process."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from tests.categorization.simulated import Scripted, text_in
from tests.construction.judges import KnowingJudge, level, raw_texts
from valueflow.construction import Construction, build_vidb
from valueflow.construction.flags import outfit
from valueflow.construction.texts import text_id
from valueflow.judge import Criterion, PanelJudge, Progress, RankedWindows, Windows
from valueflow.run import InputError
from valueflow.theory import load_theory, theory_from_mapping
from valueflow.vidb import load_vidb
from valueflow.voting import Panel, PanelMember, VotingRule


def build(texts: pd.DataFrame | None = None, **more: Any) -> Construction:
    given = {"theory": "pvq", "value": "benevolence", "judge": KnowingJudge(), "progress": False}
    return build_vidb(input=raw_texts() if texts is None else texts, **(given | more))


def test_a_database_orders_texts_as_the_judge_does_and_evaluate_reads_it(tmp_path: Path) -> None:
    built = build(output_dir=tmp_path, k=3, m=12, license="CC0 | 1.0")
    truth = built.database["text"].map(level)
    assert spearmanr(truth, built.database["final_rating"]).statistic > 0.97
    assert built.database["final_rating"].between(-10, 10).all()
    assert built.summary["published"] == 30
    pvq = load_theory("pvq")
    anchors = load_vidb(str(tmp_path / "vidb"), pvq).of(pvq, "benevolence")
    assert dict(zip(anchors.texts, anchors.intensities, strict=True)) == pytest.approx(
        dict(zip(built.database["text"], built.database["final_rating"], strict=True))
    )
    parquet = pd.read_parquet(tmp_path / "vidb" / "benevolence_pvq.parquet")
    assert set(parquet["value"]) == {"benevolence"}
    card = (tmp_path / "vidb" / "README.md").read_text(encoding="utf-8")
    assert 'license: "CC0 | 1.0"' in card
    assert "| texts published | 30 |" in card
    assert (tmp_path / "distribution.svg").read_text(encoding="utf-8").startswith("<?xml")
    saved = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert saved["windows"] == saved["plan"]["windows"] == len(built.plan) == 120
    assert saved["judging"]["calls"] == 120


def test_the_prior_is_chosen_from_the_random_rounds_or_given() -> None:
    few, more = build(m=2), build(m=6)
    assert few.summary["prior_precision"] == more.summary["prior_precision"] != 0.1
    given = build(m=6, prior_precision=0.1)
    assert given.summary["prior_precision"] == given.summary["settings"]["prior_precision"] == 0.1
    assert given.database["standard_error"].mean() != more.database["standard_error"].mean()


def test_a_panel_s_fit_holds_with_a_member_that_never_errs() -> None:
    class Guessing(KnowingJudge):
        def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
            drawn = np.random.default_rng(len(windows)).random((len(windows), windows.prompt_order.shape[1]))
            progress(len(windows), 0)
            return windows.ranked(np.argsort(drawn, axis=1) + 1)

    built = build(judge=PanelJudge([KnowingJudge(), Guessing()]), k=3)
    knowing, guessing = (judge["discrimination"] for judge in built.summary["judges"])
    assert knowing > 3 * guessing
    assert spearmanr(built.database["text"].map(level), built.database["final_rating"]).statistic > 0.95


def test_the_order_of_rows_and_repeated_texts_change_nothing() -> None:
    texts = raw_texts()
    once = build(texts)
    judge = KnowingJudge()
    again = build(pd.concat([texts.iloc[::-1], texts.iloc[:7]]), judge=judge)
    pd.testing.assert_frame_equal(once.database, again.database)
    pd.testing.assert_frame_equal(once.plan, again.plan)
    assert again.summary["repeated"] == 7
    assert all(len(window) == 2 for window in judge.asked)


def test_a_dry_run_asks_nothing_and_its_plan_is_the_run_s(tmp_path: Path) -> None:
    judge = KnowingJudge()
    dry = build(judge=judge, dry_run=True, output_dir=tmp_path)
    assert judge.asked == []
    assert sorted(file.name for file in tmp_path.iterdir()) == ["plan.csv", "summary.json"]
    real = build(judge=judge)
    pd.testing.assert_frame_equal(dry.plan, real.plan.iloc[: len(dry.plan)])
    assert dry.summary["plan"]["windows"] == len(real.plan) == len(judge.asked)
    ids = real.plan[["id_1", "id_2"]].to_numpy().ravel()
    assert set(np.unique(ids, return_counts=True)[1]) == {10}


def test_known_ratings_set_the_scale_and_are_not_published() -> None:
    known = pd.DataFrame({"text": [f"known {number}" for number in (-7, -3, 0, 3, 7)], "rating": [-7, -3, 0, 3, 7]})
    built = build(calibration=known, m=20)
    assert not built.database["text"].str.startswith("known").any()
    assert built.summary["known_only"] == 5
    assert built.summary["known_spearman"] == pytest.approx(1)
    error = built.database["final_rating"] - built.database["text"].map(level)
    assert error.abs().mean() < 1.5


def test_marked_texts_are_the_zero_of_the_scale() -> None:
    texts = raw_texts(31)
    texts["mark"] = ""
    texts.loc[texts["text"] == "a text of level 4.8", "mark"] = "Neutral"
    built = build(texts, m=30)
    rating = built.database.set_index("text")["final_rating"]
    assert rating["a text of level 4.8"] == pytest.approx(0)
    assert (rating[[text for text in rating.index if level(text) > 6]] > 0).all()


def test_ratings_by_people_are_merged_and_decide_what_is_published(tmp_path: Path) -> None:
    first = build()
    near, far, *_ = first.database.to_dict("records")
    review = pd.DataFrame(
        {
            "id": [near["id"], far["id"], "unknown", first.database["id"].iloc[5]],
            "human_rating": [str(near["machine_rating"] + 2), str(far["machine_rating"] + 9), "1", ""],
        }
    )
    review.to_csv(tmp_path / "review.csv", index=False)
    second = build(reviewed=str(tmp_path / "review.csv"), human_weight=0.25)
    rating = second.database.set_index("id")["final_rating"]
    assert rating[near["id"]] == pytest.approx(near["machine_rating"] + 0.5)
    assert far["id"] not in rating
    counts = {key: second.summary[key] for key in ("reviewed", "people_disagree", "reviewed_unknown_ids")}
    assert counts == {"reviewed": 2, "people_disagree": 1, "reviewed_unknown_ids": 1}
    assert second.summary["reviewed_empty"] == 1
    with pytest.raises(InputError, match="none of its 1 ids is of a text of this run, the first is 'x'"):
        build(reviewed=pd.DataFrame({"id": ["x"], "human_rating": ["1"]}))


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_review_that_a_spreadsheet_saved_counts_by_its_texts(
    tmp_path: Path, separator: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = build()
    near, other, *_ = first.database.to_dict("records")
    review = pd.DataFrame(
        {
            "id": ["6.45148E+11", other["id"], "1.2E+05"],
            "text": [near["text"], other["text"] + "\xa0", "nobody's"],
            "human_rating": [near["machine_rating"] + 2, other["machine_rating"], 1],
        }
    )
    review.to_csv(tmp_path / "review.csv", index=False, sep=separator, lineterminator="\r\n")
    second = build(reviewed=str(tmp_path / "review.csv"), human_weight=0.5)
    rating = second.database.set_index("id")["final_rating"]
    assert rating[near["id"]] == pytest.approx(near["machine_rating"] + 1)
    assert second.summary["reviewed"] == 2
    assert second.summary["reviewed_unknown_ids"] == 1
    assert "1 ids are of no text of this run: row 3 ('1.2E+05')" in caplog.text


def test_columns_of_a_review_that_were_sorted_apart_are_told() -> None:
    first, second, *_ = build().database.to_dict("records")
    review = pd.DataFrame({"id": [first["id"]], "text": [second["text"]], "human_rating": ["1"]})
    with pytest.raises(InputError, match="reviewed, row 1: id .* were columns sorted apart"):
        build(reviewed=review)


def test_outfit_by_hand() -> None:
    # Utilities 1 and 0, no doubt: the likelier win surprises by exp(-1), the other by exp(1).
    rankings = np.array([[0, 1], [1, 0], [2, 3]])
    found = outfit(rankings, np.array([1.0, 0, 0, 0, 0]), np.zeros(5), np.ones(3))
    mean = (np.exp(-1) + np.exp(1)) / 2
    np.testing.assert_allclose(found, [mean, mean, 1, 1, np.nan])


def test_a_text_that_wins_and_loses_at_random_is_flagged() -> None:
    class Moody(KnowingJudge):
        def rank(self, criterion: Any, windows: Any, progress: Any) -> Any:
            said = super().rank(criterion, windows, progress)
            first = windows.response_texts[np.column_stack([windows.responses, windows.anchors])]
            odd = (first == "odd 9").any(axis=1) & (np.vectorize(level)(first).min(axis=1) % 2 == 0)
            said.orders[odd] = said.orders[odd][:, ::-1]
            return said

    texts = pd.DataFrame({"text": [*(f"plain {number}" for number in range(-20, 9)), "odd 9"]})
    built = build(texts, judge=Moody(), m=30, random_rounds=30, flag_misfit=3.0)
    # The texts that it lost to, against all expectation, may be flagged beside it.
    assert built.review.sort_values("outfit")["text"].iloc[-1] == "odd 9"
    assert len(built.review) == built.summary["flagged"] <= 3
    assert not set(built.review["text"]) & set(built.database["text"])
    assert built.review["human_rating"].isna().all()


def test_what_fails_is_counted_and_a_text_without_a_ranking_is_told() -> None:
    lost = "a text of level -8.0"
    built = build(judge=KnowingJudge(fails=lambda texts: lost in texts))
    assert built.unranked["text"].tolist() == [lost]
    assert built.summary["unranked"] == 1
    assert built.summary["rankings_failed"] == 10
    assert built.summary["failures"] == {"no answer": 10}
    assert lost not in set(built.database["text"])
    with pytest.raises(InputError, match="all 30 windows failed, the first one: no answer"):
        build(judge=KnowingJudge(fails=lambda texts: True))


def test_a_judge_that_looks_at_places_only_is_told_and_left_out() -> None:
    with pytest.raises(InputError, match="in the same order in all 30 windows"):
        build(judge=KnowingJudge(stuck=True))
    alone = build()
    panel = build(judge=PanelJudge([KnowingJudge(), KnowingJudge(stuck=True)]))
    pd.testing.assert_frame_equal(alone.database, panel.database)
    assert [judge["left_out"] for judge in panel.summary["judges"]] == [False, True]


def test_a_panel_has_a_slope_for_each_judge() -> None:
    built = build(judge=PanelJudge([KnowingJudge(), KnowingJudge()]))
    slopes = [judge["discrimination"] for judge in built.summary["judges"]]
    assert slopes == pytest.approx([1, 1], rel=0.02)
    assert len(built.rankings) == 2 * len(built.plan)


def test_a_new_theory_needs_nothing_but_its_file(tmp_path: Path) -> None:
    theory = theory_from_mapping(
        {
            "name": "craft",
            "title": "the ethics of craft",
            "label": "virtue",
            "source": "our own",
            "values": ["patience"],
            "nodes": {"patience": {"label": "Patience", "parents": [], "definition": "Taking the time a thing needs."}},
        }
    )
    built = build(theory=theory, value="patience", output_dir=tmp_path)
    assert len(load_vidb(str(tmp_path / "vidb"), theory).of(theory, "patience")) == len(built.database) == 30


def test_an_upload_takes_the_folder_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, list[str]]] = []

    class Hub:
        def create_repo(self, name: str, **_: object) -> None:
            if name == "me/broken":
                raise OSError("no such\nplace")

        def upload_folder(self, *, repo_id: str, repo_type: str, folder_path: str) -> None:
            seen.append((repo_id, sorted(os.listdir(folder_path))))

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    build(output_dir=tmp_path, push_to="me/mine")
    files = ["README.md", "benevolence_pvq.parquet", "benevolence_pvq_flag_aggregated.csv"]
    assert seen == [("me/mine", files)]
    with pytest.raises(InputError, match="push_to: me/broken could not be uploaded"):
        build(output_dir=tmp_path, push_to="me/broken")


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"texts": pd.DataFrame({"text": ["same", "same"]})}, "input: one text only"),
        ({"texts": pd.DataFrame({"text": ["a 1", " "]})}, "row 2, column 'text': the text is missing"),
        ({"k": 31}, "k=31 texts in a window, but there are 30"),
        ({"random_rounds": 11}, "random_rounds=11 of m=10"),
        ({"value": "benevolance"}, "benevolence"),
        ({"input_columns": {"txt": "a"}}, "unknown column 'txt'"),
        ({"calibration": pd.DataFrame({"text": ["a 1"], "rating": ["11"]})}, "'11' is not a number in"),
        ({"calibration": pd.DataFrame({"text": ["a 1", "b 2"], "rating": ["1", "1"]})}, "all ratings alike"),
        ({"calibration": pd.DataFrame({"text": ["a 7", "b -7"], "rating": [-5, 5]})}, "the scale cannot be set"),
    ],
)
def test_what_cannot_be_used(more: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as caught:
        build(**more)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ids_are_of_the_text_alone() -> None:
    assert text_id("a") == text_id("a") != text_id("b")
    assert len(text_id("\x00 {items} [INST]")) == 12


def test_a_panel_flags_ratings_that_do_not_fit_their_texts(tmp_path: Path) -> None:
    def careful(question: str, seed: int) -> str:
        rating = float(re.findall(r"rated ([+-][\d.]+) on", question)[0])
        return "odd" if rating < 0 and level(text_in(question)) < -5 else "plausible"

    def easy(question: str, seed: int) -> str:
        return "plausible"

    # Five of seven voters think better of the texts at the lower end than the judge does; two do not look.
    models = [Scripted(f"m{n}", careful if n < 5 else easy) for n in range(7)]
    panel = Panel(tuple(PanelMember(f"m{n}", model, 0.0) for n, model in enumerate(models)), VotingRule.of(7))
    built = build(panel=panel, cache="off", m=12, output_dir=tmp_path)
    rated = built.ratings
    expected = rated["text"].map(level) < -5
    assert (rated["odd_votes"] == np.where(expected, 5, 0)).all()
    assert (rated["published"] == ~expected).all()
    assert expected.sum() == 6
    assert set(built.review["text"]) == set(rated.loc[expected, "text"])
    assert built.summary["found_odd"] == expected.sum() == len(built.review)
    assert built.summary["plan"]["check_calls"] == 7 * 30
    assert [len(model.batches) for model in models] == [1] * 7
    # A person who agrees with the machine brings a text back.
    by_people = pd.DataFrame({"id": built.review["id"], "human_rating": built.review["final_rating"]})
    again = build(panel=panel, cache="off", m=12, reviewed=by_people.iloc[:3])
    assert again.summary["found_odd"] == expected.sum() - 3
