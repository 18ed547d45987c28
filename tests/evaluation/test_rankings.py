"""The rankings table: written and read back, and what is said of broken ones."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from valueflow.evaluation.rankings import check_targets, ranked_windows, rankings_table, read_rankings, responses_of
from valueflow.judge import RankedWindows, Windows
from valueflow.run import BadRows, InputError, write_csv
from valueflow.vidb import Anchors

HOSTILE = [
    "{braces} [1, 2, 3]",
    'quote " and, comma',
    "line\nbreak\r\nand\rbare",
    "tab\t nul\x00 bell\x07 \u2028",
    "x" * 100_000,
]


def judged() -> tuple[Windows, RankedWindows]:
    pool = Anchors("t", "v", np.array(["NA", *HOSTILE], dtype=object), np.array([-9.0, -5, -1, 2, 4, 8]))
    windows = Windows(
        responses=np.array([0, 0, 1, 1]),
        anchors=np.array([[0, 1], [2, 3], [4, 5], [5, 0]]),
        prompt_order=np.array([[3, 1, 2], [1, 2, 3], [2, 3, 1], [3, 2, 1]]),
        response_texts=np.array([HOSTILE[2], "null"], dtype=object),
        anchor_set=pool,
    )
    orders = np.array([[3, 1, 2], [1, 3, 2], [0, 0, 0], [2, 1, 3]])
    return windows, windows.ranked(orders, np.array(["", "", "no answer", ""], dtype=object))


def test_a_table_written_and_read_back_says_the_same(tmp_path: Path) -> None:
    windows, rankings = judged()
    table = rankings_table(windows, rankings)
    write_csv(table, tmp_path / "rankings.csv")
    read = read_rankings(tmp_path / "rankings.csv")
    assert read["row_idx"].tolist() == ["0", "0", "1", "1"]
    assert read["target_text"].tolist() == [HOSTILE[2]] * 2 + ["null"] * 2
    assert read["db_text_1"].tolist() == [windows.anchor_set.texts[i] for i in (0, 2, 4, 5)]
    back = ranked_windows(read, "file")
    np.testing.assert_array_equal(back.responses, [0, 0, 1, 1])
    np.testing.assert_array_equal(back.orders, rankings.orders)
    np.testing.assert_array_equal(back.intensities, windows.anchor_set.intensities[windows.anchors])
    assert back.failures.tolist() == ["", "", "no answer", ""]
    assert read["prompt_order"].tolist() == ["[3, 1, 2]", "[1, 2, 3]", "[2, 3, 1]", "[3, 2, 1]"]


def test_standard_errors_are_written_and_read_with_blanks_where_one_is_unknown(tmp_path: Path) -> None:
    windows, _ = judged()
    errors = np.array([0.5, np.nan, 1.25, 0.0, 2.0, np.nan])
    windows = replace(windows, anchor_set=replace(windows.anchor_set, errors=errors))
    rankings = windows.ranked(np.array([[3, 1, 2], [1, 3, 2], [2, 3, 1], [2, 1, 3]]))
    table = rankings_table(windows, rankings)
    assert [column for column in table if column.startswith("db_")] == [
        *("db_text_1", "db_score_1", "db_se_1", "db_text_2", "db_score_2", "db_se_2")
    ]
    write_csv(table, tmp_path / "rankings.csv")
    back = ranked_windows(read_rankings(tmp_path / "rankings.csv"), "file")
    np.testing.assert_array_equal(back.errors, errors[windows.anchors])
    np.testing.assert_array_equal(back.errors, rankings.errors)
    np.testing.assert_array_equal(back.prompt_order, windows.prompt_order)
    # Numbered by intensity and text: here all anchors occur, in the order of their set.
    np.testing.assert_array_equal(back.anchors, windows.anchors)


def test_anchors_are_told_apart_by_text_and_intensity() -> None:
    table = published(db_text_1=["same", "same"], db_score_1=[-3, 4], db_text_2=["other", "same"], db_score_2=[4, -3])
    assert ranked_windows(table, "file").anchors.tolist() == [[0, 1], [2, 0]]


@pytest.mark.parametrize(("error", "told"), [(-0.1, "-0.1"), (20.5, "20.5"), ("much", "much")])
def test_a_standard_error_out_of_range_is_told(error: object, told: str) -> None:
    with pytest.raises(InputError, match=f"file, row 2, column 'db_se_2': '{told}'"):
        ranked_windows(published(db_se_1=[1.0, 1.0], db_se_2=[1.0, error]), "file")


def test_a_prompt_order_that_is_none_is_told_and_a_blank_one_is_unknown() -> None:
    with pytest.raises(InputError, match=r"file, row 2, column 'prompt_order': '\[1, 2\]' is no permutation"):
        ranked_windows(published(prompt_order=["[1, 2, 3]", "[1, 2]"]), "file")
    assert ranked_windows(published(prompt_order=["[1, 2, 3]", ""]), "file").prompt_order is None
    assert ranked_windows(published(), "file").prompt_order is None
    assert ranked_windows(published(), "file").errors is None


def published(**changes: list[object]) -> pd.DataFrame:
    columns: dict[str, list[object]] = {
        "row_idx": [0, 1],
        "target_text": ["one", "two"],
        "ranking": ["[2, 1, 3]", "[1,2,3]"],
        "db_text_1": ["a", "b"],
        "db_score_1": [-3, 4],
        "db_text_2": ["c", "d"],
        "db_score_2": [1.5, -10],
    }
    return pd.DataFrame(columns | changes)


def test_published_files_without_our_extra_columns_are_read() -> None:
    windows = ranked_windows(published(), "file")
    assert windows.orders.tolist() == [[2, 1, 3], [1, 2, 3]]
    assert windows.ranked.all()
    assert responses_of(published(), "file")["response"].tolist() == ["one", "two"]


@pytest.mark.parametrize(
    "ranking",
    [
        "[1, 2]",
        "[1, 2, 2]",
        "[0, 1, 2]",
        "[1, 2, 4]",
        "[1.0, 2, 3]",
        "1, 2, 3",
        "",
        "[[1], 2, 3]",
        "[true, 2, 3]",
        "{}",
    ],
)
def test_a_ranking_that_is_no_permutation_is_told_with_its_row(ranking: str) -> None:
    with pytest.raises(
        InputError, match="file, row 2, column 'ranking': .* is no permutation of the item numbers 1 to 3"
    ):
        ranked_windows(published(ranking=["[2, 1, 3]", ranking]), "file")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"row_idx": [0, -1]}, "row 2, column 'row_idx'"),
        ({"row_idx": [0.5, 1]}, "row 1, column 'row_idx': 0.5 is not a whole number"),
        ({"db_score_2": [1, 11]}, "row 2, column 'db_score_2': '11' is not a number in [-10, 10]"),
        ({"db_score_1": ["", 1]}, "row 1, column 'db_score_1'"),
    ],
)
def test_bad_cells_are_told(changes: dict[str, list[object]], message: str) -> None:
    with pytest.raises(InputError) as caught:
        ranked_windows(published(**changes), "file")
    assert message in str(caught.value)


def test_rankings_of_other_responses_are_told() -> None:
    with pytest.raises(InputError, match="row 2: target_text 'two' is not response 1 .'three'"):
        check_targets(published(), np.array(["one", "three"], dtype=object), "file")
    with pytest.raises(InputError, match="row 2: row_idx 1 is beyond the 1 responses"):
        check_targets(published(), np.array(["one"], dtype=object), "file")
    with pytest.raises(InputError, match="row_idx 0 stands for two different target_texts"):
        responses_of(published(row_idx=[0, 0]), "file")
    with pytest.raises(InputError, match="row_idx 1 has no ranking; give the responses file"):
        responses_of(published(row_idx=[0, 2]), "file")


def judged_by_a_panel() -> tuple[Windows, RankedWindows]:
    """Windows 1 and 2 show the same anchors to the same response in the same order."""
    windows, one = judged()
    windows = Windows(
        responses=windows.responses,
        anchors=np.array([[0, 1], [2, 3], [4, 5], [4, 5]]),
        prompt_order=np.array([[3, 1, 2], [1, 2, 3], [2, 3, 1], [2, 3, 1]]),
        response_texts=windows.response_texts,
        anchor_set=windows.anchor_set,
    )
    orders = np.vstack([one.orders, [[1, 2, 3], [2, 3, 1], [3, 2, 1], [0, 0, 0]]])
    failures = np.array(["", "", "no answer", "", "", "", "", "cut off"], dtype=object)
    names = ('llm "a", b', "embedding {minilm}")
    members = {
        name: windows.ranked(orders[rows], failures[rows])
        for name, rows in zip(names, (slice(0, 4), slice(4, 8)), strict=True)
    }
    panel = RankedWindows.of_panel(members, {})
    return windows, panel


def test_a_panels_table_has_one_row_a_window_and_judge_and_says_the_same_when_read_back(tmp_path: Path) -> None:
    windows, rankings = judged_by_a_panel()
    table = rankings_table(windows, rankings)
    assert table["judge"].tolist() == list(rankings.judge_names) * 4
    assert table["row_idx"].tolist() == [0] * 4 + [1] * 4
    write_csv(table, tmp_path / "rankings.csv")
    back = ranked_windows(read_rankings(tmp_path / "rankings.csv"), "file")
    assert back.judge_names == rankings.judge_names
    assert back.judges.tolist() == [0, 1] * 4
    assert back.windows.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    np.testing.assert_array_equal(back.orders, rankings.orders)
    assert back.failures.tolist() == rankings.failures.tolist()
    np.testing.assert_array_equal(back.intensities, np.repeat(windows.anchor_set.intensities[windows.anchors], 2, 0))


def test_rows_of_a_panel_may_come_in_any_order_and_lack_the_prompts() -> None:
    windows, rankings = judged_by_a_panel()
    table = rankings_table(windows, rankings).drop(columns="prompt_order")
    by_judge = table.sort_values("judge", kind="stable", ignore_index=True)
    assert ranked_windows(by_judge, "file").windows.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert ranked_windows(by_judge, "file").judge_names == ("embedding {minilm}", 'llm "a", b')


def test_a_lone_judges_table_names_no_judge() -> None:
    windows, rankings = judged()
    assert "judge" not in rankings_table(windows, rankings)
    back = ranked_windows(published(), "file")
    assert len(back.judge_names) == 1
    assert back.windows.tolist() == [0, 1]


def test_a_row_that_names_no_judge_is_told() -> None:
    with pytest.raises(InputError, match="file, row 2, column 'judge'"):
        ranked_windows(published(judge=["a", " "]), "file")


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_lists_of_item_numbers_are_rankings(tmp_path: Path, kind: str) -> None:
    windows, rankings = judged()
    table = rankings_table(windows, rankings)
    as_lists = table.assign(
        ranking=[json.loads(cell) if cell else [] for cell in table["ranking"]],
        prompt_order=[json.loads(cell) for cell in table["prompt_order"]],
    )
    path = tmp_path / f"rankings.{kind}"
    as_lists.to_parquet(path) if kind == "parquet" else as_lists.to_json(path, orient="records", lines=True)
    back, expected = ranked_windows(read_rankings(path), "file"), ranked_windows(table, "file")
    for field in ("responses", "orders", "intensities", "prompt_order"):
        np.testing.assert_array_equal(getattr(back, field), getattr(expected, field))


def test_lists_that_are_no_permutations_are_told_with_their_row(tmp_path: Path) -> None:
    windows, rankings = judged()
    table = rankings_table(windows, rankings).assign(ranking=[[3, 1, 2], [1, 3, 3], [], [2, 1, 3]])
    table.to_parquet(tmp_path / "r.parquet")
    with pytest.raises(InputError, match=r"row 2, column 'ranking': '\[1 3 3\]' is no permutation"):
        ranked_windows(read_rankings(tmp_path / "r.parquet"), "file")


def test_scores_beyond_the_scale_are_clamped_or_their_rows_skipped(tmp_path: Path) -> None:
    windows, rankings = judged()
    table = rankings_table(windows, rankings)
    table.loc[1, "db_score_1"] = 12.5
    table.to_csv(tmp_path / "r.csv", index=False)
    with pytest.raises(InputError, match="row 2, column 'db_score_1': '12.5' is not a number"):
        ranked_windows(read_rankings(tmp_path / "r.csv"), "file")
    clamping, skipping = BadRows("clamp"), BadRows("skip")
    clamped = ranked_windows(read_rankings(tmp_path / "r.csv", clamping), "file")
    assert clamped.intensities[1, 0] == 10
    assert clamping.clamped == 1
    assert len(ranked_windows(read_rankings(tmp_path / "r.csv", skipping), "file").orders) == 3
    assert skipping.skipped[0]["row"] == 2
