"""Anchors and ValueEval arguments as training data: directions, paths, ids of stage 2."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from valueflow.hives.data import NONE, load_rows, load_table
from valueflow.run import InputError
from valueflow.theory import DIRECTIONS, known_theories, load_theory

REAL = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not REAL.is_dir(), reason="the shared data are not here")


def anchors_file(folder: Path, *rows: tuple[str, str, str, float]) -> str:
    path = folder / "anchors.csv"
    pd.DataFrame(rows, columns=["theory", "value", "text", "final_rating"]).to_csv(path, index=False)
    return str(path)


def test_the_sign_of_an_intensity_is_the_direction(tmp_path: Path) -> None:
    ratings = {-10.0: "oppose", -1.0: "oppose", -0.99: "neutral", 0.0: "neutral", 0.99: "neutral", 1.0: "support"}
    rows = [("duty", "justice", f"text {rating}", rating) for rating in ratings]
    frame = load_rows([anchors_file(tmp_path, *rows)])[0].rows
    assert dict(zip(frame["text"], frame["direction"], strict=True)) == {
        f"text {rating}": direction for rating, direction in ratings.items()
    }
    assert set(frame["level_1"]) == {"justice"}


def test_every_path_of_a_value_is_a_row_and_concepts_span_theories(tmp_path: Path) -> None:
    source = anchors_file(
        tmp_path,
        ("pvq", "hedonism", "I eat well.", 5.0),
        ("mft", "Care/Harm", "I nurse him.", 5.0),
        ("pvq", "benevolence", "I feed her.", 7.0),
        ("mine", "thrift", "I save.", 3.0),
    )
    frame = load_rows([source])[0].rows
    table = load_table([source])
    paths = {
        tuple(path) for path in frame[frame["text"] == "I eat well."][["level_1", "level_2", "level_3"]].to_numpy()
    }
    assert paths == set(load_theory("pvq").paths("hedonism"))
    ids = dict(zip(frame["text"], frame["selected_anchor"], strict=True))
    assert ids["I nurse him."] == ids["I feed her."] == "care/support"
    assert ids["I eat well."] == ids["I save."] == ""
    assert frame["selected_individual"].tolist()[-1].endswith("/support")
    assert len(table) == 4
    at = {text: row for row, text in enumerate(table.texts)}
    assert table.labels.concepts[at["I nurse him."]] == table.labels.concepts[at["I feed her."]] != NONE
    assert (table.labels.paths[at["I eat well."]] != NONE).all(axis=1).sum() == 2


def test_concepts_name_values_that_there_are() -> None:
    import valueflow

    table = pd.read_csv(Path(valueflow.__file__).parent / "assets" / "concepts.csv")
    theories = {theory.name: theory for theory in known_theories()}
    for theory, value in table[["theory", "value"]].to_numpy():
        assert value in theories[theory].values
    assert not table.duplicated(["theory", "value"]).any()
    assert (table.groupby("concept")["theory"].nunique() >= 2).all()


# ---- ValueEval

HEADER = "Argument ID\tConclusion\tStance\tPremise\n"
VALUES = ("Benevolence: caring", "Universalism: objectivity", "Hedonism", "Power: dominance")


def write_arguments(folder: Path, *labels: str, header: str = "\t".join(("Argument ID", *VALUES))) -> Path:
    path = folder / "my-arguments.tsv"
    stances = ("in favor of", "against")
    lines = [f"A{n}\tWe should \"ban {n}\t{stances[n % 2]}\tit's {{bad}} {n}" for n in range(len(labels))]
    path.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    marks = [f"A{n}\t" + "\t".join(mark) for n, mark in reversed(list(enumerate(labels)))]
    (folder / "my-labels.tsv").write_text(header + "\n" + "\n".join(marks) + "\n", encoding="utf-8")
    return path


def test_arguments_become_rows(tmp_path: Path) -> None:
    (source,) = load_rows([str(write_arguments(tmp_path, "1000", "0010", "0000", "0100", "1100", "1001"))])
    frame = source.rows
    assert source.left_out == {"arguments without any value": 1, "arguments whose values share no branch": 1}
    assert set(frame["direction"]) == {"support"}
    assert set(frame["theory"]) == {"pvq"}
    by_text = dict(list(frame.groupby("text")))
    stances = ("For", "Against")
    assert list(by_text) == [f"We should \"ban {n}. {stances[n % 2]}: it's {{bad}} {n}" for n in (0, 1, 3, 4)]
    caring, hedonism, universalism, both = by_text.values()
    assert caring[["level_3", "level_4"]].to_numpy().tolist() == [["benevolence", "caring"]]
    assert universalism[["level_3", "level_4"]].to_numpy().tolist() == [["universalism", ""]]
    assert both[["level_2", "level_3", "level_4"]].to_numpy().tolist() == [["self-transcendence", "", ""]]
    assert set(hedonism["level_2"]) == {"openness-to-change", "self-enhancement"}


@pytest.mark.parametrize(
    ("labels", "header", "message"),
    [
        (
            ("1000", "0200"),
            "\t".join(("Argument ID", *VALUES)),
            "argument 'A1', column 'Universalism: objectivity': '2'",
        ),
        (("1000",), "\t".join(("Argument ID", *VALUES[:3], "Powr")), "column 'Powr' is no value of"),
        (("1000",), "\t".join(("ID", *VALUES)), "column 'Argument ID' is missing"),
        (("0000",), "\t".join(("Argument ID", *VALUES)), "no argument has a label 1"),
    ],
)
def test_labels_that_cannot_be(labels: tuple[str, ...], header: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        load_rows([str(write_arguments(tmp_path, *labels, header=header))])
    assert message in str(error.value)
    assert "my-labels.tsv" in str(error.value)


def test_an_argument_that_stands_twice(tmp_path: Path) -> None:
    path = write_arguments(tmp_path, "1000", "0010")
    labels = tmp_path / "my-labels.tsv"
    once = load_rows([str(path)])[0].rows
    labels.write_text(labels.read_text() + "A0\t1\t0\t0\t0\n")
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    assert load_rows([str(path)])[0].rows.equals(once)
    labels.write_text(labels.read_text() + "A0\t0\t1\t0\t0\n")
    with pytest.raises(InputError, match=r"my-labels\.tsv, row 4: argument 'A0' appears twice"):
        load_rows([str(path)])


def test_blanks_around_an_id_do_not_matter(tmp_path: Path) -> None:
    path = write_arguments(tmp_path, "1000", "0010")
    expected = load_rows([str(path)])[0].rows
    labels = tmp_path / "my-labels.tsv"
    labels.write_text(labels.read_text().replace("A1\t", " A1 \t"))
    assert load_rows([str(path)])[0].rows.equals(expected)


def test_files_that_cannot_be(tmp_path: Path) -> None:
    path = write_arguments(tmp_path, "1000", "0010")
    (tmp_path / "my-labels.tsv").write_text("Argument ID\tHedonism\nA0\t1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"row 2: argument 'A1' has no labels in"):
        load_rows([str(path)])
    (tmp_path / "my-labels.tsv").unlink()
    with pytest.raises(InputError, match=r"my-labels\.tsv does not exist"):
        load_rows([str(path)])
    path.rename(tmp_path / "texts.tsv")
    with pytest.raises(InputError, match="its name must hold 'arguments'"):
        load_rows([str(tmp_path / "texts.tsv")])
    with pytest.raises(InputError, match="data.train is not set"):
        load_rows([])


@needs_data
def test_real_data() -> None:
    table = load_table([str(REAL / "valueeval23_arguments_train.tsv"), str(REAL / "vidb_sample")])
    assert set(table.labels.theory_names) == {"duty", "mft", "pvq", "right"}
    counts = np.bincount(table.labels.directions, minlength=3)
    assert counts[DIRECTIONS.index("neutral")] == 0  # the sample has no neutral anchors
    assert counts[DIRECTIONS.index("oppose")] > 100
    assert table.labels.depth == 4
    assert table.stage_2 == ("selected_individual", "selected_anchor")
