"""The training table: what is read of it, what is refused, and that no order of rows counts."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.hives.data import NONE, checked_frame, load_rows, shared_levels, training_table
from valueflow.run import InputError
from valueflow.theory import DIRECTIONS


def frame(*rows: tuple[str, ...], columns: str = "text theory level_1 level_2 direction") -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns.split())


def names(table: object, text: int, level: int) -> set[str]:
    labels = table.labels  # type: ignore[attr-defined]
    return {labels.prefix_names[number] for number in labels.paths[text, :, level] if number != NONE}


def test_rows_of_one_text_are_its_paths() -> None:
    rows = frame(
        ("We dance all night.", "pvq", "growth", "openness", "support"),
        ("We dance all night.", "pvq", "self-protection", "self-enhancement", "support"),
        ("We dance all night.", "pvq", "growth", "openness", "oppose"),
        ("Obey.", "rights", "individual", "", " Neutral "),
    )
    table = training_table([checked_frame(rows, "t.csv")])
    assert table.n_rows == 4
    assert table.texts.tolist() == ["We dance all night.", "We dance all night.", "Obey."]
    assert table.labels.theory_names == ("pvq", "right")
    assert [DIRECTIONS[code] for code in table.labels.directions] == ["oppose", "support", "neutral"]
    assert names(table, 1, 0) == {"pvq/growth", "pvq/selfprotection"}
    assert names(table, 1, 1) == {"pvq/growth/openness", "pvq/selfprotection/selfenhancement"}
    # A path that ends early repeats its end.
    assert names(table, 2, 0) == names(table, 2, 1) == {"right/individual"}
    assert shared_levels(table.labels.paths, table.labels.paths).tolist() == [[2, 2, 0], [2, 2, 0], [0, 0, 2]]


def test_spelling_of_levels_and_equal_names_under_other_parents() -> None:
    rows = frame(
        ("a", "mine", "Self-Direction", "thought", "support"),
        ("b", "mine", "self direction", "Thought", "support"),
        ("c", "mine", "power", "thought", "support"),
    )
    paths = training_table([checked_frame(rows, "t.csv")]).labels.paths
    assert shared_levels(paths, paths)[0].tolist() == [2, 2, 0]


def test_ids_of_stage_2() -> None:
    columns = "text theory level_1 direction selected_individual selected_anchor"
    rows = frame(
        ("a", "pvq", "x", "support", "i2", ""),
        ("a", "pvq", "y", "support", "i1", "c"),
        ("b", "pvq", "x", "support", "", "c"),
        columns=columns,
    )
    table = training_table([checked_frame(rows, "t.csv")])
    assert table.stage_2 == ("selected_individual", "selected_anchor")
    first, second = table.labels.individuals
    assert first != NONE
    assert second == NONE
    assert table.labels.concepts[0] == table.labels.concepts[1] != NONE
    # Of several ids batches are drawn by the first by name; all concepts are there.
    several = rows.assign(selected_anchor=["d", "c", "c"])
    labels = training_table([checked_frame(several, "t.csv")]).labels
    assert labels.all_concepts.tolist() == [[0, 1], [0, NONE]]
    assert labels.concepts.tolist() == [0, 0]
    assert labels.take(np.array([1])).all_concepts.tolist() == [[0, NONE]]
    alone = training_table([checked_frame(rows[rows["selected_individual"] == "i1"], "t.csv")])
    assert len(alone) == 1
    assert training_table([checked_frame(rows[["text", "theory", "level_1", "direction"]], "t.csv")]).stage_2 == ()


@given(st.permutations(range(8)), st.integers(0, 8))
def test_neither_order_of_rows_nor_files_count(order: list[int], cut: int) -> None:
    rows = frame(*[(f"text {n % 4}", "pvq", f"v{n % 3}", f"w{n % 2}", ("support", "oppose")[n % 2]) for n in range(8)])
    checked = checked_frame(rows, "t.csv")
    expected = training_table([checked])
    shuffled = checked.iloc[order]
    parts = [part.reset_index(drop=True) for part in (shuffled[:cut], shuffled[cut:]) if len(part)]
    found = training_table(parts)
    assert found.texts.tolist() == expected.texts.tolist()
    assert np.array_equal(found.labels.paths, expected.labels.paths)
    assert found.labels.directions.tolist() == expected.labels.directions.tolist()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            frame(("a", "pvq", "x", "y", "suports")),
            "row 1, column 'direction': 'suports' is no direction; did you mean",
        ),
        (frame(("a", "pvq", "", "y", "support")), "row 1, column 'level_1': the value is missing"),
        (frame(("a", "pvq", "x", "", "support"), ("  ", "pvq", "x", "", "support")), "row 2, column 'text'"),
        (frame(("a", " ", "x", "", "support")), "row 1, column 'theory'"),
        (frame(("a", "pvq", "x", "y"), columns="text theory level_1 directions"), "'direction' is missing; did you"),
        (frame(("a", "pvq", "x", "y"), columns="text theory level_2 direction"), "column 'level_1' is missing"),
        (
            frame(("a", "pvq", "x", "z", "support"), columns="text theory level_1 level_3 direction"),
            "column 'level_2' is missing, though there is 'level_3'",
        ),
        (
            frame(
                ("a", "pvq", "x", "y", "z", "support"),
                ("b", "pvq", "x", "", "z", "support"),
                columns="text theory level_1 level_2 level_3 direction",
            ),
            "row 2, column 'level_2': missing in the middle, as level_3 is 'z'",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_line(rows: pd.DataFrame, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as error:
        checked_frame(rows, "t.csv")
    assert "t.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_files(tmp_path: Path) -> None:
    rows = frame(('a {b}\n, "c"', "pvq", "x", "y", "support"), ("NA", "pvq", "null", "", "oppose"))
    rows.to_csv(tmp_path / "t.csv", index=False)
    rows.to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        read = load_rows([str(tmp_path / name)])[0].rows
        assert read["text"].tolist() == ['a {b}\n, "c"', "NA"]
        assert read["level_1"].tolist() == ["x", "null"]
    with pytest.raises(InputError, match="does not exist"):
        load_rows([str(tmp_path / "no.csv")])


@pytest.mark.parametrize(
    ("cell", "direction"),
    [
        *(("positive", "support"), (" Negative", "oppose"), ("1", "support"), ("-1", "oppose"), ("0", "neutral")),
        *((1, "support"), (-1.0, "oppose"), (np.int64(0), "neutral"), ("+1", "support"), ("-1.0", "oppose")),
    ],
)
def test_directions_of_the_published_tables_are_understood(cell: object, direction: str) -> None:
    rows = frame(("a", "pvq", "growth", "", cell))  # type: ignore[arg-type]
    assert checked_frame(rows, "t.csv")["direction"].tolist() == [direction]


@pytest.mark.parametrize("cell", ["2", 2, "positively", "1.5", True])
def test_what_is_near_a_direction_is_none(cell: object) -> None:
    with pytest.raises(InputError, match=r"t\.csv, row 1, column 'direction'"):
        checked_frame(frame(("a", "pvq", "growth", "", cell)), "t.csv")  # type: ignore[arg-type]


def test_rows_of_one_theory(tmp_path: Path) -> None:
    rows = frame(("a", "pvq", "growth", "", "support"), ("b", "rights", "x", "", "oppose"), ("c", "mine", "y", "", "1"))
    rows.to_csv(tmp_path / "t.csv", index=False)
    source = [str(tmp_path / "t.csv")]
    for name, text in (("PVQ", "a"), ("rights", "b"), ("Mine", "c")):
        (read,) = load_rows(source, name)
        assert read.rows["text"].tolist() == [text]
        assert read.left_out == {"rows of other theories": 2}
    assert len(load_rows(source)[0].rows) == 3
    with pytest.raises(InputError, match="data.theory=duty: no row is of this theory; .*Known: mine, pvq, right"):
        load_rows(source, "duty")
