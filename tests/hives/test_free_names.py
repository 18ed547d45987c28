"""Texts labeled with free names of values: which nodes a name means, and the rows that come of it."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests import command
from tests.command import environment, succeeded, summary_in
from valueflow import train
from valueflow.hives.data import load_rows, load_table, map_names, table_of_names
from valueflow.hives.settings import LabelRules
from valueflow.run import InputError
from valueflow.theory import DIRECTIONS, load_theory

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data"
needs_data = pytest.mark.skipif(not REAL.is_dir(), reason="the shared data are not here")


def write_json(folder: Path, *rows: tuple[str, str, str]) -> str:
    path = folder / "situations.json"
    path.write_text(json.dumps([dict(zip(("situation", "vrd", "label"), row, strict=True)) for row in rows]))
    return str(path)


def test_the_table_names_nodes_of_the_theories_once_each() -> None:
    names = table_of_names()
    assert len(names) >= 250
    for name, nodes in names.items():
        assert name == " ".join(name.casefold().split())
        theories = [theory for theory, _ in nodes]
        assert len(set(theories)) == len(theories), name
        for theory, node in nodes:
            assert node in load_theory(theory).nodes, name
            assert node != load_theory(theory).root, name
    # Stage 2 needs names that span theories.
    assert sum(len(nodes) >= 2 for nodes in names.values()) > 0.8 * len(names)


def test_names_by_table_by_node_and_by_nothing() -> None:
    given = ["Right to PRIVACY ", "The right to privacy", "Right to privacy (of guests)", "Non-maleficence", "qwertz"]
    names = map_names(given, None)
    privacy = {names[name] for name in given[:3]}
    assert len(privacy) == 1
    assert {("right", "right_to_privacy")} < set(privacy.pop().nodes)
    assert ("duty", "non-maleficence") in names["Non-maleficence"].nodes
    assert names["qwertz"].nodes == ()
    by_label = map_names(["Societal  security"], None)["Societal  security"]
    assert (by_label.how, by_label.nodes) == ("name", (("pvq", "security-societal"),))


def test_an_unknown_name_means_the_nearest_definition() -> None:
    name = "Clean rivers and forests for wild creatures"
    near = map_names([name], 0.4)[name]
    assert near.how == "definition"
    assert ("pvq", "nature") in near.nodes
    assert all(cosine >= 0.4 for cosine in near.similarities)
    far = map_names([name], 0.99)[name]
    assert (far.how, far.nodes) == ("unmapped", ())
    assert far.similarities == (max(near.similarities),)
    # What else is mapped in the same call does not matter.
    assert map_names([name, "Zebra crossing", "aaa"], 0.4)[name] == near


def test_situations_become_rows_of_every_theory_that_a_name_means(tmp_path: Path) -> None:
    source = write_json(
        tmp_path,
        ("Reading her diary", "Right to privacy", "Opposes"),
        ("Knocking before entering", "Right to privacy", "Supports"),
        ("Closing the curtains", "Right to privacy", "Either"),
        ("Selling <b>{x}</b>", "wxyz qqq", "Supports"),
    )
    (loaded,) = load_rows([source])
    rows = loaded.rows
    assert loaded.left_out == {"rows whose name means no value": 1}
    expected = dict(table_of_names()["right to privacy"])
    for theory, node in expected.items():
        own = rows[rows["theory"] == theory]
        paths = {tuple(name for name in path if name) for path in own.filter(like="level_").to_numpy().tolist()}
        assert paths == set(load_theory(theory).paths(node)), theory
        directions = dict(zip(own["text"], own["direction"], strict=True))
        assert directions == {
            "Reading her diary": "oppose",
            "Knocking before entering": "support",
            "Closing the curtains": "neutral",
        }
    assert set(rows["theory"]) == set(expected)
    assert loaded.names is not None
    listed = loaded.names.set_index("name")
    assert listed.loc["wxyz qqq", "how"] == "unmapped"
    assert (listed.loc["Right to privacy", "rows"] == 3).all()
    liberty = rows[(rows["theory"].isin(["mft", "right"])) & (rows["direction"] == "oppose")]
    assert set(liberty["selected_anchor"]) == {"liberty/oppose"}


def test_a_name_has_one_concept_in_all_theories(tmp_path: Path) -> None:
    # By its nodes "Right to life" is care in two theories and liberty in a third: it is care in all of them.
    assert len(table_of_names()["right to life"]) >= 3
    source = write_json(
        tmp_path,
        ("Sparing an enemy", "Right to life", "Supports"),
        ("Shooting a deserter", "Right to life", "Opposes"),
        ("Reading her diary", "Right to privacy", "Opposes"),
        ("Growing old in peace", "Right to life", "Supports"),
    )
    rows = load_rows([source])[0].rows
    concepts = {text: set(own) for text, own in rows.groupby("text")["selected_anchor"]}
    assert concepts["Sparing an enemy"] == concepts["Growing old in peace"] == {"care/support"}
    assert concepts["Shooting a deserter"] == {"care/oppose"}
    assert concepts["Reading her diary"] == {"liberty/oppose"}


def test_a_column_that_says_value_right_or_duty_holds_no_names(tmp_path: Path) -> None:
    # As in the full table of ValuePrism: the name is in `text`, the side in `valence`.
    path = tmp_path / "full.csv"
    pd.DataFrame(
        {
            "situation": ["Reading her diary", "Telling the truth"],
            "vrd": ["Right", "Duty"],
            "text": ["Right to privacy", "Duty to be honest"],
            "explanation": ["It is hers.", "It is due."],
            "valence": ["Opposes", "Supports"],
        }
    ).to_csv(path, index=False)
    (loaded,) = load_rows([str(path)])
    assert loaded.names is not None
    assert set(loaded.names["name"]) == {"Right to privacy", "Duty to be honest"}
    assert set(loaded.names["how"]) == {"table"}
    assert set(loaded.rows["text"]) == {"Reading her diary", "Telling the truth"}


@pytest.mark.parametrize("direction", ["direction", "label", "valence"])
def test_any_table_with_a_column_of_names(direction: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    pd.DataFrame(
        {"text": ["I told the truth.", "I lied."], "virtue": ["Honesty", "honesty"], direction: ["positive", "-1"]}
    ).to_csv(path, index=False)
    table = load_table([str(path)], "duty", rules=LabelRules("virtue"))
    assert table.texts.tolist() == ["I lied.", "I told the truth."]
    assert [DIRECTIONS[code] for code in table.labels.directions] == ["oppose", "support"]
    assert set(table.labels.prefix_names) >= {"duty/fidelity"}


@pytest.mark.parametrize(
    ("columns", "names", "message"),
    [
        ({"label": ["Supports", "Suports"]}, None, "row 2, column 'label': 'suports' is no direction; did you mean"),
        ({"side": ["Supports", "Opposes"]}, None, "none of the columns direction, label, valence is there"),
        ({"label": ["Supports", "Opposes"], "vrd": ["Honesty", " "]}, None, "row 2, column 'vrd': the text is missing"),
        (
            {"label": ["Supports", "Opposes"], "vrd": ["qqq", "xyz"]},
            None,
            "no name means a value of a theory, as of 'qqq'",
        ),
    ],
)
def test_tables_that_cannot_be(columns: dict[str, list[str]], names: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    given = {"situation": ["One thing", "Another"], "vrd": ["Honesty", "Honesty"]} | columns
    pd.DataFrame(given).to_csv(path, index=False)
    with pytest.raises(InputError) as error:
        load_rows([str(path)], rules=LabelRules(names))
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_a_column_of_names_that_no_table_has(table_file: Path) -> None:
    with pytest.raises(InputError, match=r"data\.names=virtu: no table has this column"):
        train(task="convert", **{"data.train": str(table_file), "data.names": "virtu"})


def test_a_column_of_names_that_one_of_several_tables_has(tiny: Path, table_file: Path, tmp_path: Path) -> None:
    rows = [("I rule.", "supports", "Power"), ("She shares.", "opposes", "Benevolence")]
    pd.DataFrame(rows, columns=["text", "label", "meant"]).to_csv(tmp_path / "named.csv", index=False)
    situations = write_json(tmp_path, ("I rule.", "Power", "supports"), ("She shares.", "Benevolence", "opposes"))
    given = {"task": "test", "backbone": "any", "backbone.model": str(tiny), "trainer": "cpu", "replicates": 0}
    both = {"data.train": str(table_file), "data.test": str(tmp_path / "named.csv"), "metrics": "published"}
    for more in ({"data.names": "meant", **both}, {"data.test": situations}):
        assert train(**given, **more, progress=False).summary["data"]["texts"] == 2
    with pytest.raises(InputError, match="data.names=ment: no table has this column"):
        train(**given, progress=False, **{"data.names": "ment", "data.test": situations})


def test_convert_shows_and_lists_what_names_mean(tmp_path: Path) -> None:
    source = write_json(
        tmp_path, ("Reading her diary", "Right to privacy", "Opposes"), ("Jogging at dawn", "wxyz qqq", "Supports")
    )
    arguments = ("task=convert", f"data.train={source}", "data.name_similarity=null", "hydra.run.dir=out")
    done = succeeded(command.run(ROOT / "train.py", *arguments, folder=tmp_path, env=environment(tmp_path / "cache")))
    assert "1 rows whose name means no value are left out" in done.stdout + done.stderr
    assert "our table" in done.stdout
    summary = summary_in(tmp_path / "out")["data"]
    assert summary["names"]["unmapped"] == {"names": 1, "rows": 1}
    assert summary["names"]["table"] == {"names": 1, "rows": 1}
    names = pd.read_csv(tmp_path / "out" / "names.csv", keep_default_na=False)
    assert names[names["how"] == "unmapped"]["name"].tolist() == ["wxyz qqq"]
    # The table that was written trains without the names.
    assert len(load_rows([str(tmp_path / "out" / "training.csv")])[0].rows) == summary["rows"]


@needs_data
def test_the_table_has_the_frequent_names_of_the_real_data_and_none_of_the_rare_ones() -> None:
    source = str(REAL / "valuekaleidoscope_half.json")
    (loaded,) = load_rows([source], rules=LabelRules())
    assert loaded.names is not None
    once = loaded.names.drop_duplicates("name")
    assert set(once.loc[once["rows"] >= 5, "how"]) <= {"table", "name"}
    # A phrase that the data have once is theirs: it is not copied into the project.
    spelled = once["name"].str.replace(r"\s*\([^()]*\)", "", regex=True).str.casefold().str.split().str.join(" ")
    counts = once.groupby(spelled.str.removeprefix("the "))["rows"].sum()
    rare = {name for name, rows in counts.items() if rows == 1 and " " in str(name)}
    assert len(rare) > 400
    assert not rare & set(table_of_names())
    assert set(loaded.rows["theory"]) == {"pvq", "mft", "duty", "right"}
    assert loaded.rows["direction"].value_counts().min() > 300
