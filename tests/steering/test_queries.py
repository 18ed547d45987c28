"""Reading query sets."""

from pathlib import Path

import pandas as pd
import pytest

from valueflow.run import InputError
from valueflow.steering.queries import load_queries

REAL = Path(__file__).parents[3] / "shared" / "data" / "queries"


def file(folder: Path, name: str, **columns: list[str]) -> str:
    path = folder / name
    pd.DataFrame(columns).to_csv(path, index=False)
    return str(path)


def test_the_packaged_set_is_the_default() -> None:
    queries = load_queries(None, None)
    assert len(queries) == 50
    assert set(queries["dataset"]) == {"open_questions"}


def test_sets_follow_one_another_and_the_limit_counts_over_all(tmp_path: Path) -> None:
    one = file(tmp_path, "one.csv", query=["a?", "b?"])
    two = file(tmp_path, "two.csv", query=["c?", "a?"], dataset=["x", "y"], other=["1", "2"])
    queries = load_queries([one, two], None)
    assert list(queries.columns) == ["query", "dataset"]
    assert queries.to_numpy().tolist() == [["a?", "one"], ["b?", "one"], ["c?", "x"], ["a?", "y"]]
    assert load_queries([one, two], 3)["query"].tolist() == ["a?", "b?", "c?"]
    assert len(load_queries([one, two], 9)) == 4


@pytest.mark.skipif(not REAL.is_dir(), reason="the shared query sets are not here")
def test_real_sets() -> None:
    queries = load_queries([str(path) for path in sorted(REAL.glob("*.csv"))], None)
    assert len(queries) == 500
    assert queries["dataset"].value_counts().to_dict() == dict.fromkeys((path.stem for path in REAL.glob("*.csv")), 100)


def test_what_cannot_be_read_is_told_with_file_and_row(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.csv does not exist"):
        load_queries([str(tmp_path / "no.csv")], None)
    with pytest.raises(InputError, match=r"q\.csv: column 'query' is missing; Known: question"):
        load_queries([file(tmp_path, "q.csv", question=["a?"])], None)
    with pytest.raises(InputError, match=r"blank\.csv, row 2, column 'query': the text is missing"):
        load_queries([file(tmp_path, "blank.csv", query=["a?", "  "], dataset=["d", "d"])], None)
    with pytest.raises(InputError, match="queries: name one file or more"):
        load_queries([], None)


def test_a_folder_is_all_its_tables_and_a_name_finds_its_table(tmp_path: Path) -> None:
    folder = tmp_path / "queries"
    folder.mkdir()
    file(folder, "moral_choice.csv", query=["m?"])
    file(folder, "gpv.csv", query=["g?", "h?"])
    (folder / "README.md").write_text("no table", encoding="utf-8")
    (folder / "._gpv.csv").write_text("no table either", encoding="utf-8")
    whole = load_queries([str(folder)], None)
    assert whole.to_numpy().tolist() == [["g?", "gpv"], ["h?", "gpv"], ["m?", "moral_choice"]]
    named = load_queries([str(folder / "moral_choice"), str(folder / "gpv")], None)
    assert named["query"].tolist() == ["m?", "g?", "h?"]
    file(folder, "gpv.tsv", query=["another?"])
    with pytest.raises(InputError, match=r"gpv may be .*gpv\.csv or .*gpv\.tsv; give the whole name"):
        load_queries([str(folder / "gpv")], None)
    with pytest.raises(InputError, match="value_bench does not exist"):
        load_queries([str(folder / "value_bench")], None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no table"):
        load_queries([str(tmp_path / "empty")], None)
