"""Anchors from every kind of source, and what is said of broken ones."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from valueflow.run import BadRows, InputError
from valueflow.theory import known_theories, load_theory, theory_from_mapping
from valueflow.vidb import load_vidb

PVQ = load_theory("pvq")
SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "vidb_sample"


def table(**changes: list[object]) -> pd.DataFrame:
    columns: dict[str, list[object]] = {
        "theory": ["pvq", "pvq", "mft", "pvq"],
        "value": ["power", "Power", "care/harm", "self direction"],
        "text": ["I lead.", "I follow.", "I nurse.", "I choose."],
        "final_rating": [7.5, -3, 9, 8],
    }
    return pd.DataFrame(columns | changes)


def test_folder_file_parquet_and_dataset_hold_the_same_anchors(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "folder"
    folder.mkdir()
    for value, rows in table(value=["power", "power", "care-harm", "self-direction"]).groupby("value"):
        rows[["text", "final_rating"]].to_csv(
            folder / f"{value}_{rows['theory'].iloc[0]}_flag_aggregated.csv", index=False
        )
    table().to_csv(tmp_path / "all.csv", index=False)
    table().to_parquet(tmp_path / "all.parquet")
    datasets.Dataset.from_pandas(table()).save_to_disk(str(tmp_path / "on_disk"))
    (tmp_path / "repository").mkdir()
    table().to_parquet(tmp_path / "repository" / "train.parquet")
    sources = ["folder", "all.csv", "all.parquet", "hf://on_disk", "hf://repository", "hf://repository:train"]
    for name in sources:
        scheme, _, rest = name.rpartition("//")
        vidb = load_vidb(f"{scheme}//{tmp_path}/{rest}" if scheme else str(tmp_path / name), PVQ)
        power = vidb.of(PVQ, "power")
        assert power.texts.tolist() == ["I follow.", "I lead."], name
        assert power.intensities.tolist() == [-3.0, 7.5], name
        assert vidb.of(PVQ, "self-direction").texts.tolist() == ["I choose."], name
        assert vidb.of(load_theory("mft"), "care-harm").texts.tolist() == ["I nurse."], name


def test_columns_can_be_mapped_even_where_one_of_ours_holds_something_else(tmp_path: Path) -> None:
    frame = table().rename(columns={"final_rating": "strength"}).assign(final_rating="a note")
    frame.to_csv(tmp_path / "all.csv", index=False)
    vidb = load_vidb(str(tmp_path / "all.csv"), PVQ, {"final_rating": "strength"})
    assert vidb.of(PVQ, "power").intensities.tolist() == [-3.0, 7.5]


def test_a_single_file_may_say_theory_and_value_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "self-direction_pvq_flag_aggregated.csv"
    pd.DataFrame({"text": ["a", "b"], "final_rating": [1, 2]}).to_csv(path, index=False)
    assert len(load_vidb(str(path), PVQ).of(PVQ, "self-direction")) == 2


def test_order_of_rows_does_not_matter_and_repeated_texts_count_once(tmp_path: Path) -> None:
    frame = pd.concat([table(), table().head(2).assign(final_rating=[6.5, -3])])
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.sample(frac=1, random_state=1).to_csv(tmp_path / "b.csv", index=False)
    one, two = (load_vidb(str(tmp_path / name), PVQ) for name in ("a.csv", "b.csv"))
    assert one.n_repeated == two.n_repeated == 2
    assert one.of(PVQ, "power").texts.tolist() == two.of(PVQ, "power").texts.tolist() == ["I follow.", "I lead."]
    np.testing.assert_allclose(one.of(PVQ, "power").intensities, [-3.0, 7.0])


def test_words_that_pandas_takes_for_missing_are_texts(tmp_path: Path) -> None:
    (tmp_path / "power_pvq_flag_aggregated.csv").write_text("text,final_rating\nNA,1\nnull,2\nNone,3\n")
    assert load_vidb(str(tmp_path), PVQ).of(PVQ, "power").texts.tolist() == ["NA", "null", "None"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"final_rating": [7.5, 10.5, 9, 8]}, "row 2, column 'final_rating': '10.5' is not a number in [-10, 10]"),
        ({"final_rating": [7.5, -3, "NaN", 8]}, "row 3, column 'final_rating': 'NaN' is not a number"),
        (
            {"final_rating": ["", -3, "inf", 8]},
            "row 1, column 'final_rating': '' is not a number in [-10, 10] (and in 1",
        ),
        ({"text": ["I lead.", "  ", "c", "d"]}, "row 2, column 'text': the text is missing"),
        ({"value": ["power", "", "c", "d"]}, "row 2, column 'value': the text is missing"),
    ],
)
def test_bad_cells_are_told_with_file_and_row(tmp_path: Path, changes: dict[str, list[object]], message: str) -> None:
    path = tmp_path / "all.csv"
    table(**changes).to_csv(path, index=False)
    with pytest.raises(InputError) as caught:
        load_vidb(str(path), PVQ)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_is_missing_is_told_with_what_is_there(tmp_path: Path) -> None:
    table().rename(columns={"final_rating": "final_ratings"}).to_csv(tmp_path / "all.csv", index=False)
    with pytest.raises(InputError, match="column 'final_rating' is missing; did you mean 'final_ratings'"):
        load_vidb(str(tmp_path / "all.csv"), PVQ)
    with pytest.raises(InputError, match="does not exist; did you mean 'all.csv'"):
        load_vidb(str(tmp_path / "al.csv"), PVQ)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no file named VALUE_THEORY_flag_aggregated.csv"):
        load_vidb(str(tmp_path / "empty"), PVQ)
    table().to_csv(tmp_path / "good.csv", index=False)
    with pytest.raises(InputError, match="no anchors of 'face'; .*power, self-direction"):
        load_vidb(str(tmp_path / "good.csv"), PVQ).of(PVQ, "face")
    with pytest.raises(InputError, match="no anchors of theory 'duty'"):
        load_vidb(str(tmp_path / "good.csv"), PVQ).of(load_theory("duty"), "justice")
    with pytest.raises(InputError, match="dataset hf://.* could not be loaded"):
        load_vidb(f"hf://{tmp_path}/nothing_here", PVQ)
    with pytest.raises(InputError, match="unknown column 'rating'; did you mean 'final_rating'"):
        load_vidb("demo", PVQ, {"rating": "x"})


def test_hidden_files_beside_anchors_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "power_pvq_flag_aggregated.csv").write_text("text,final_rating\na,1\nb,2\n")
    (tmp_path / "._power_pvq_flag_aggregated.csv").write_bytes(b"\x00\x05\x16\x07\xb0")
    assert len(load_vidb(str(tmp_path), PVQ).of(PVQ, "power")) == 2


def built(folder: Path, value: str, **tag: object) -> None:
    (folder / "vidb").mkdir(parents=True)
    (folder / "vidb" / f"{value}_pvq_flag_aggregated.csv").write_text("text,final_rating\na,1\nb,2\n")
    (folder / "summary.json").write_text(json.dumps(tag))


def test_the_folder_of_a_run_or_sweep_that_built_anchors_holds_them(tmp_path: Path) -> None:
    built(tmp_path / "one", "power")
    assert len(load_vidb(str(tmp_path / "one"), PVQ).of(PVQ, "power")) == 2
    for number, value in enumerate(("power", "face")):
        built(tmp_path / "sweep" / str(number), value, sweep={"id": "now", "job": number})
    built(tmp_path / "sweep" / "2", "power", sweep={"id": "before", "job": 2})
    with pytest.raises(InputError, match=r"several runs in .* have built power_pvq"):
        load_vidb(str(tmp_path / "sweep"), PVQ)
    (tmp_path / "sweep" / "sweep.json").write_text('{"id": "now"}')
    vidb = load_vidb(str(tmp_path / "sweep"), PVQ)
    assert [own.value for own in vidb.anchors] == ["face", "power"]


def test_rows_that_cannot_be_used_are_skipped_or_clamped_each_time(tmp_path: Path) -> None:
    table(final_rating=["", "-3", "10.5", "8"]).to_csv(tmp_path / "all.csv", index=False)
    for _ in range(2):
        skipping, clamping = BadRows("skip"), BadRows("clamp")
        skipped = load_vidb(str(tmp_path / "all.csv"), PVQ, bad_rows=skipping)
        clamped = load_vidb(str(tmp_path / "all.csv"), PVQ, bad_rows=clamping)
        assert [(row["row"], row["reason"]) for row in skipping.skipped] == [
            (1, "is not a number"),
            (3, "is not in [-10, 10]"),
        ]
        assert (len(clamping.skipped), clamping.clamped) == (1, 1)
        assert sum(map(len, skipped.anchors)) == 2
        assert max(own.intensities.max() for own in clamped.anchors) == 10
    table(final_rating=["", "x", "", ""]).to_csv(tmp_path / "none.csv", index=False)
    with pytest.raises(InputError, match="none of its 4 rows has a text and a rating"):
        load_vidb(str(tmp_path / "none.csv"), PVQ, bad_rows=BadRows("skip"))


def test_demo_anchors_cover_every_value_and_the_whole_scale() -> None:
    vidb = load_vidb("demo")
    for theory in known_theories():
        for value in theory.values:
            pool = vidb.of(theory, value)
            assert len(pool) >= 20, value
            counts, _ = np.histogram(pool.intensities, bins=np.arange(-10, 12, 2))
            assert counts.min() >= 1, value
            assert (np.abs(pool.intensities) < 1).sum() >= 2, value
            assert max(len(text.split()) for text in pool.texts) <= 30, value
    assert vidb.n_repeated == 0


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared sample of real anchors is not here")
def test_published_layout_is_read() -> None:
    vidb = load_vidb(str(SHARED))
    assert len(vidb.anchors) == 32
    assert vidb.digest == load_vidb(str(SHARED), PVQ).digest
    for theory in known_theories():
        for value in theory.values:
            assert len(vidb.of(theory, value)) == 12, value


def test_a_misspelt_value_of_a_known_theory_is_told_and_a_theory_of_ones_own_is_not_checked(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    table(value=["power", "powr", "care", "self direction"]).to_csv(path, index=False)
    with pytest.raises(InputError, match="all.csv, row 2: value 'powr' is not in theory 'pvq'; did you mean 'power'"):
        load_vidb(str(path), PVQ)
    table(value=["power", "power", "care", "face"]).to_csv(path, index=False)
    with pytest.raises(InputError, match="row 3: value 'care' is not in theory 'mft'; did you mean 'care-harm'"):
        load_vidb(str(path), PVQ)
    table(theory=["pvq", "pvq", "mine", "any"]).to_csv(path, index=False)
    for given in (PVQ, None):
        names = [(anchors.theory, anchors.value) for anchors in load_vidb(str(path), given).anchors]
        assert names == [("any", "self direction"), ("mine", "care/harm"), ("pvq", "power")]


def test_a_dataset_without_a_name_is_told() -> None:
    with pytest.raises(InputError, match="hf:// names no dataset"):
        load_vidb("hf://", PVQ)


def test_standard_errors_of_ratings_are_taken_along_blank_where_unknown(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "without.csv", index=False)
    table(standard_error=["", "", "", ""]).to_csv(tmp_path / "blank.csv", index=False)
    table(standard_error=[0.5, "", 1, " "]).to_csv(tmp_path / "some.csv", index=False)
    table(standard_error=[0.5, None, 1.0, None]).to_parquet(tmp_path / "some.parquet")
    table(se=[0.5, "", 1, ""]).to_csv(tmp_path / "named.csv", index=False)
    without, blank, some, parquet = (
        load_vidb(str(tmp_path / name)) for name in ("without.csv", "blank.csv", "some.csv", "some.parquet")
    )
    named = load_vidb(str(tmp_path / "named.csv"), columns={"standard_error": "se"})
    assert all(anchors.errors is None for vidb in (without, blank) for anchors in vidb.anchors)
    assert without.digest == blank.digest != some.digest
    for vidb in (some, parquet, named):
        power = vidb.of(PVQ, "power")
        assert power.intensities.tolist() == [-3, 7.5]
        np.testing.assert_array_equal(power.errors, [np.nan, 0.5])
        assert vidb.of(PVQ, "self-direction").errors is None


@pytest.mark.parametrize("error", [-0.5, 20.01, "about 1", "inf"])
def test_a_standard_error_that_is_none_is_told(tmp_path: Path, error: object) -> None:
    table(standard_error=[1, error, 1, ""]).to_csv(tmp_path / "all.csv", index=False)
    with pytest.raises(InputError, match="all.csv, row 2, column 'standard_error': ") as caught:
        load_vidb(str(tmp_path / "all.csv"))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="column 'se' is missing"):
        load_vidb(str(tmp_path / "all.csv"), columns={"standard_error": "se"})


FEW_SHOT = {
    "power": {"-2": [{"text": "I follow.", "intensity": -8.4}], "1": [{"text": "I lead.", "intensity": 4}]},
    # A value of duty; mft has a node of this name below another.
    "justice": {"2": [{"text": "I share.", "intensity": 7.5}]},
    "caring": {"1": [{"text": "I nurse.", "intensity": 5}]},
}


def few_shot(folder: Path, content: object) -> str:
    path = folder / "all_few_shot.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def test_a_few_shot_file_is_a_source_of_anchors(tmp_path: Path) -> None:
    duty = load_theory("duty")
    source = few_shot(tmp_path, FEW_SHOT)
    vidb = load_vidb(source, PVQ)
    power = vidb.of(PVQ, "power")
    assert (power.texts.tolist(), power.intensities.tolist()) == (["I follow.", "I lead."], [-8.4, 4])
    assert vidb.of(PVQ, "caring").texts.tolist() == ["I nurse."]
    for theory in (PVQ, None, load_theory("mft")):
        assert load_vidb(source, theory).of(duty, "justice").texts.tolist() == ["I share."]
    # A theory of one's own goes before the packaged ones.
    node = {"label": "justice", "definition": "To each his own."}
    own = theory_from_mapping(
        {
            "name": "mine",
            "title": "mine",
            "label": "l",
            "source": "s",
            "values": ["justice"],
            "nodes": {"justice": node},
        }
    )
    assert load_vidb(source, own).of(own, "justice").texts.tolist() == ["I share."]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"thrift": {"1": []}}, "value 'thrift' is in no theory"),
        ({"power": {"3": []}}, "power: '3' is no intensity"),
        ({"power": {"1": {}}}, "power, 1: give a list of objects with text and intensity"),
        ({"power": {"1": ["I lead."]}}, "power, 1, entry 1: give an object with text and intensity"),
        ({"power": {"1": [{"text": "I lead.", "intensity": 11}]}}, "row 1, column 'final_rating'"),
    ],
)
def test_a_few_shot_file_that_cannot_be_used_is_told(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_vidb(few_shot(tmp_path, content), PVQ)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published files are not there")
def test_the_published_few_shot_file_has_anchors_of_every_value() -> None:
    source = str(SHARED.parent / "published" / "few_shot" / "all_few_shot.json")
    vidb = load_vidb(source, PVQ)
    for theory in known_theories():
        for value in theory.values:
            assert len(vidb.of(theory, value)) == 12, value
