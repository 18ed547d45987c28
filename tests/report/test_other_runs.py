"""Pages about runs that are no evaluations: what their rooms print, their pictures, their tables."""

import base64
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.llm.fault_server import FaultServer, completion
from tests.report.reader import PageReader
from valueflow import build_vidb, make_report, steer
from valueflow.run import flattened, write_csv, write_json

TEXTS = [f"I share {number} of my ten loaves with whoever is hungry." for number in range(12)]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("database") / "run"
    table = pd.DataFrame({"text": TEXTS})
    build_vidb(
        theory="duty", value="beneficence", input=table, m=4, judge="embedding", progress=False, output_dir=folder
    )
    return folder


@pytest.mark.slow
def test_a_database_with_its_picture_and_what_is_sure_in_it(database: Path) -> None:
    html = make_report(database).html
    read, summary = PageReader(html), json.loads((database / "summary.json").read_text())
    assert "Value intensity databases" in read.headings
    ((row),) = read.tables[f"{summary['theory']}: {summary['label']}"][1:]
    assert row[:3] == ["duty", "beneficence", "12"]
    for end in ("most_certain", "least_certain"):
        for entry in summary[end]:
            assert entry["text"] in html
    picture = next(address for address in read.addresses if address.startswith("data:image/svg+xml;base64,"))
    assert base64.b64decode(picture.partition(",")[2]) == (database / "distribution.svg").read_bytes()
    written = pd.read_csv(database / "ratings.csv", dtype=str, keep_default_na=False)
    caption = next(name for name in read.tables if name.startswith("ratings.csv"))
    assert [row[0] for row in read.tables[caption][1:]] == written.iloc[:, 0].tolist()


def test_a_kind_that_is_not_known_is_shown_by_its_figures(tmp_path: Path) -> None:
    summary = {"task": "<b>guess</b>", "counts": {"right": 3, "wrong": 1}, "note": "a & b"}
    write_json(summary, tmp_path / "run" / "summary.json")
    write_csv(pd.DataFrame({"text": ["<i>one</i>"], "score": [1.5]}), tmp_path / "run" / "found.csv")
    html = make_report(tmp_path / "run", output_dir=tmp_path / "page").html
    read = PageReader(html)
    assert dict(read.tables["Figures of its summary"][1:]) == {
        key: str(cell) for key, cell in flattened(summary).items()
    }
    assert read.tables["found.csv: the table"] == [["text", "score"], ["<i>one</i>", "1.5"]]
    (link,) = [address for address in read.addresses if address.endswith("found.csv")]
    assert (tmp_path / "page" / link).resolve() == tmp_path / "run" / "found.csv"
    assert "<b>guess" not in html


def test_a_summary_of_an_older_version_is_shown_by_its_figures(tmp_path: Path) -> None:
    write_json({"task": "categorization", "texts": 7}, tmp_path / "summary.json")
    read = PageReader(make_report(tmp_path).html)
    assert ["texts", "7"] in read.tables["Figures of its summary"]


def test_curves_of_a_training_are_drawn_by_step(tmp_path: Path) -> None:
    write_json({"task": "train"}, tmp_path / "summary.json")
    curve = pd.DataFrame({"step": [1, 10, 20], "train/loss": [3.0, 2.0, 1.25], "held_out/x": [None, 0.5, 0.75]})
    write_csv(curve, tmp_path / "curve.csv")
    html = make_report(tmp_path).html
    labels = re.findall(r'<svg[^>]* aria-label="([^"]+)"', html)
    assert labels == [
        "train/loss by step, from 3 at step 1 to 1.25 at the last.",
        "held_out/x by step, from 0.5 at step 10 to 0.75 at the last.",
    ]
    read = PageReader(html)
    assert len(read.ids) == len(set(read.ids))


def test_a_table_that_cannot_be_read_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    write_json({"task": "other", "n": 1}, tmp_path / "summary.json")
    (tmp_path / "broken.csv").write_text('a,b\n"1')
    html = make_report(tmp_path).html
    assert "broken.csv: not a table as a run writes it" in html


@pytest.mark.slow
def test_a_survey_has_both_passes_by_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with FaultServer(lambda call: completion("AB"[int(call.digest, 16) % 2])) as server:
        asked = {"llm": "openai", "llm.model": "fault", "llm.base_url": server.url, "cache": "off"}
        found = steer(preset="phi4", limit=4, progress=False, output_dir=tmp_path, **asked)
    read = PageReader(make_report(tmp_path).html)
    caption = next(name for name in read.tables if name.endswith("; accuracy"))
    header, *rows = read.tables[caption]
    assert header[:5] == ["group", "n", "default", "profile", "difference"]
    groups = {group["name"]: group for group in found.summary["groups"]}
    for row in rows[:-1]:
        group = groups[row[0]]
        assert row[1:4] == [
            str(group["n"]),
            f"{group['default_accuracy']:.1%}",
            f"{group['profile_accuracy']:.1%}",
        ]


def page_size(html: str) -> int:
    return len(html.encode())


def test_pictures_and_tables_of_other_runs_are_left_out_where_the_page_would_be_too_large(tmp_path: Path) -> None:
    for run in range(3):
        folder = tmp_path / str(run)
        write_json({"task": "other", "n": run}, folder / "summary.json")
        (folder / "curve_of_mine.png").write_bytes(bytes(range(256)) * 400)
        write_csv(pd.DataFrame({"text": [f"{'x' * 900} {row}" for row in range(12)]}), folder / "texts.csv")
    whole = make_report(tmp_path).html
    assert page_size(whole) > 400_000
    assert "left out" not in whole
    # Two of three pictures, of 137 kB each, go; then all pictures and some tables.
    for megabytes, pictures in ((0.25, 1), (0.04, 0)):
        html = make_report(tmp_path, megabytes=megabytes).html
        assert page_size(html) <= megabytes * 1e6
        assert html.count("<img ") == pictures
        assert html.count("The picture &#39;curve of mine&#39; is left out") == 3 - pictures
        assert "more than megabytes" not in html
    assert "Its rows are left out" in html


def test_a_page_that_cannot_be_as_small_as_asked_for_says_so(tmp_path: Path) -> None:
    write_json({"task": "other", "n": 1}, tmp_path / "summary.json")
    html = make_report(tmp_path, megabytes=0.001).html
    assert re.search(r"This page has 0\.\d\d MB, more than megabytes=0\.001: it cannot be smaller\.", html)
