"""What a page of evaluations holds, beside what the jobs have written."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.comparison.simulated import write_job, write_sweep
from tests.report.browser import browser, needs_browser
from tests.report.judged import HOSTILE, write_judged_job
from tests.report.reader import PageReader, page_in
from valueflow import compare, make_report
from valueflow.report import shown_text
from valueflow.run import write_json

SAID = tuple(f"response {number}" for number in range(8))


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    write_sweep(folder / "phi", model="phi-4")
    write_sweep(folder / "qwen", model="qwen3", shift=2.0, slope=0.4)
    write_sweep(folder / "plain", model="phi-4", intensities=(None,), steered_by="none")
    write_json({"error": "the server is down", "input": False}, folder / "qwen" / "10" / "error.json")
    return folder


@pytest.fixture(scope="module")
def page(sweeps: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, PageReader]:
    folder = tmp_path_factory.mktemp("page")
    make_report([sweeps / name for name in ("phi", "qwen", "plain")], output_dir=folder)
    return page_in(folder)


def no_outside(html: str, read: PageReader) -> None:
    """Nothing in a page leads out of it but relative links to files."""
    assert not re.search(r"https?:|://", html)
    assert all(re.match(r"#|data:image/|(?!/|[a-z]+:)", address) for address in read.addresses), read.addresses
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


# ---- Figures


def test_every_mean_is_that_of_its_job(sweeps: Path, page: tuple[str, PageReader]) -> None:
    _, read = page
    header, *rows = read.tables["Mean scores with 95% intervals"]
    shown = {tuple(row[:3]): row[4:6] for row in rows}
    summaries = [json.loads(file.read_text()) for file in sorted(sweeps.rglob("summary.json"))]
    assert len(rows) == len(summaries) == len(shown) == 22
    assert header[4:6] == ["mean", "95% interval"]
    for summary in summaries:
        level = summary["intensity"]
        series = "phi-4, none" if summary["steered_by"] else summary["model"]
        key = (f"pvq/{summary['label']}", series, "all" if level is None else f"{level:+d}" if level else "0")
        interval = f"{summary['mean_low']:+.2f} to {summary['mean_high']:+.2f}"
        assert shown[key] == [f"{summary['mean']:+.2f}", interval]


def test_the_heatmap_has_the_same_means(sweeps: Path, page: tuple[str, PageReader]) -> None:
    _, read = page
    groups, header, *rows = read.tables["Mean scores: values by intensities and series"]
    assert groups == ["", "phi-4", "qwen3", "phi-4, none"]
    assert header == ["value", *(["-2", "-1", "0", "+1", "+2"] * 2), "all"]
    means = {}
    for file in sweeps.rglob("summary.json"):
        summary = json.loads(file.read_text())
        series = "phi-4, none" if summary["steered_by"] else summary["model"]
        means[f"pvq/{summary['label']}", series, summary["intensity"]] = f"{summary['mean']:+.1f}"
    levels = [("phi-4", range(-2, 3)), ("qwen3", range(-2, 3)), ("phi-4, none", [None])]
    for value, *cells in rows:
        assert cells == [means[value, series, level] for series, own in levels for level in own]


def test_effects_are_those_of_compare(sweeps: Path, page: tuple[str, PageReader]) -> None:
    _, read = page
    found = compare([sweeps / name for name in ("phi", "qwen", "plain")]).table
    for family in set(found["family"]):
        rows = found[found["family"] == family]
        caption = next(name for name in read.tables if re.match(rf"{family}( over|:)", name))
        header, *shown = read.tables[caption]
        place = header.index("slope" if family.startswith("slope") else "difference")
        assert [row[place] for row in shown] == [f"{estimate:+.2f}" for estimate in rows["estimate"]]
        assert [row[place + 1] for row in shown] == [
            f"{low:+.2f} to {high:+.2f}" for low, high in zip(rows["low"], rows["high"], strict=True)
        ]


def test_the_file_behind_the_effects(sweeps: Path, tmp_path: Path) -> None:
    made = make_report(sweeps / "phi", output_dir=tmp_path)
    written = pd.read_csv(tmp_path / "report_comparison.csv", keep_default_na=False, dtype=object)
    expected = compare(sweeps / "phi").table.to_csv(index=False)
    assert written.to_csv(index=False) == pd.DataFrame(made.comparison).to_csv(index=False) == expected


def test_panels_say_their_figures_in_words(page: tuple[str, PageReader]) -> None:
    html, read = page
    means = {tuple(row[:3]): row[4:6] for row in read.tables["Mean scores with 95% intervals"][1:]}
    labels = re.findall(r'<svg[^>]* aria-label="([^"]+)"', html)
    assert len(labels) == html.count('class="drawing"') == 3  # two values, and the slopes
    for (value, _, level), (mean, interval) in means.items():
        (label,) = [text for text in labels if f"Mean score on {value} " in text]
        assert f"{level}: {mean} ({interval})" in label


def test_refusals_are_counted_by_intensity(tmp_path: Path) -> None:
    for place, intensity in enumerate((0, 2)):
        said = ["I can't help with that request.", *(["As an AI, I do not hold values."] * place), "Yes, I would."]
        write_job(tmp_path / str(place), range(len(said)), map(str, said), intensity=intensity, responses=said)
    _, read = page_in(_reported(tmp_path))
    ((series, *counts),) = read.tables["Refusals by intensity"][1:]
    assert series == "all responses"
    assert [count.partition(":")[0] for count in counts] == ["1 of 2", "2 of 3"]


def _reported(folder: Path, **settings: object) -> Path:
    page_folder = folder.parent / f"{folder.name}-page"
    make_report(folder, output_dir=page_folder, **settings)
    return page_folder


# ---- What is wrong is said


def test_failed_jobs_are_named(page: tuple[str, PageReader]) -> None:
    _, read = page
    ((folder, error),) = read.tables["Failed jobs"][1:]
    assert folder.endswith("qwen/10")
    assert error == "the server is down"


def test_a_judge_that_does_not_order_the_anchors_is_named_and_its_jobs_have_dashes(tmp_path: Path) -> None:
    reliability = {
        "kendall_tau": -0.4,
        "order_z": -3.0,
        "passed": False,
        "anchors": 40,
        "order_z_over_anchors": -2.5,
        "lapse_rate": 0.0,
        "commonest_order_share": 0.1,
        "commonest_order": [1, 2, 3],
        "position_effect": 0.0,
        "position_effect_se": 0.1,
        "misreading_sd": 9.0,
        "source": "anchors",
    }
    more = {"failures": {}, "misfit": 0, "far_from_anchors": 0, "without_query": 0, "not_converged": 0, "mean": None}
    settings = {"estimator": "map", "judge_check": True, "k": 6, "m": 3}
    for number, intensity in enumerate((-2, 2)):
        write_job(
            tmp_path / str(number),
            [1.0, 2.0],
            ["a", "b"],
            intensity=intensity,
            reliability=reliability,
            timings={"total": 1.5},
            **more | {"settings": settings, "mean_low": None, "mean_high": None},
        )
    html, read = page_in(_reported(tmp_path))
    assert "the judge orders the anchors the wrong way round: tau -0.40, z -3.0; no scores from it" in html
    assert [row[3] for row in read.tables["Mean scores with 95% intervals"][1:]] == ["-", "-"]
    assert "Nothing is compared:" in html


# ---- Responses and windows


def test_every_response_with_its_windows(tmp_path: Path) -> None:
    write_judged_job(tmp_path / "0", SAID)
    html, read = page_in(_reported(tmp_path))
    assert read.texts["r"] == list(SAID)
    assert "All responses are shown." in html
    scores = pd.read_csv(tmp_path / "0" / "scores.csv")
    rows = read.tables["Responses with their scores"][1:]
    assert [row[2] for row in rows if len(row) > 3] == [f"{score:+.2f}" for score in scores["benevolence_score"]]
    anchors = {
        number: (rating, text)
        for number, rating, text in read.tables["Anchors of pvq/benevolence in the windows above, with their ratings"][
            1:
        ]
    }
    assert sorted(text for _, text in anchors.values()) == sorted(
        f"benevolence anchor {number} {end}" for number in range(3) for end in ("high", "low")
    )
    # The last response: shown as items 3, 1, 2; ranked 2, 1, 3. Its anchors are those of its place.
    (_, low), response, (_, high) = window = [item.split(": ", 1) for item in read.windows["window 1"]]
    assert [rank for rank, _ in window] == ["3", "2", "1"]
    assert response[1] == "this response"
    assert anchors[low] == ("-6.0", "benevolence anchor 1 low")
    assert anchors[high] == ("4.5", "benevolence anchor 1 high")
    assert [item.split(": ", 1)[0] for item in read.windows["window 2"]] == ["2", "1", "3"]


def test_a_cap_per_cell_is_said_and_keeps_both_ends(tmp_path: Path) -> None:
    write_judged_job(tmp_path / "0", SAID)
    html, read = page_in(_reported(tmp_path, per_cell=3))
    assert read.texts["r"] == [SAID[0], SAID[4], SAID[7]]
    assert "3 of 8 responses are shown: of each job at most 3" in html
    link = next(address for address in read.addresses if address.endswith("scores.csv"))
    assert ((tmp_path.parent / f"{tmp_path.name}-page") / link).resolve() == (tmp_path / "0" / "scores.csv").resolve()


def test_the_size_of_the_page_is_kept(tmp_path: Path) -> None:
    said = [f"response {number} {'word ' * 200}" for number in range(200)]
    for job, intensity in enumerate((-2, 0, 2)):
        write_judged_job(tmp_path / str(job), said, intensity=intensity)
    folder = _reported(tmp_path, megabytes=0.15, per_cell=100)
    html, read = page_in(folder)
    assert (folder / "report.html").stat().st_size <= 150_000
    assert 30 < len(read.texts["r"]) < 300
    assert f"{len(read.texts['r'])} of 600 responses are shown" in html


@pytest.mark.slow
def test_long_texts_leave_the_page_of_60_jobs_below_a_megabyte_where_no_number_is_asked_for(tmp_path: Path) -> None:
    for job in range(60):
        said = [f"{job} {number} {'word ' * 300}" for number in range(12)]
        write_judged_job(tmp_path / str(job), said, value=f"value {job // 5}", intensity=job % 5 - 2)
    folder = _reported(tmp_path, longest=1500)
    html, read = page_in(folder)
    assert 800_000 < (folder / "report.html").stat().st_size < 1_000_000
    per_cell = len(read.texts["r"]) // 60
    assert 5 < per_cell < 10
    assert f"of each job at most {per_cell}, spread evenly" in html
    html, read = page_in(_reported(tmp_path, longest=1500, per_cell=10))
    assert len(read.texts["r"]) == 600


def test_ten_short_responses_of_each_job_are_shown_where_no_number_is_asked_for(tmp_path: Path) -> None:
    write_judged_job(tmp_path / "0", [f"response {number}" for number in range(14)])
    _, read = page_in(_reported(tmp_path))
    assert len(read.texts["r"]) == 10


def test_a_page_without_room_for_any_response_says_so(tmp_path: Path) -> None:
    write_judged_job(tmp_path / "0", [f"{number} {'word ' * 100}" for number in range(4)])
    html, read = page_in(_reported(tmp_path, megabytes=0.001))
    assert "r" not in read.texts
    assert "None of 4 responses is shown: the page has no room for them. per_cell=N shows N of each job" in html
    assert "it cannot be smaller" in html


def test_windows_of_replaced_rankings_are_not_shown(tmp_path: Path) -> None:
    write_judged_job(tmp_path / "0", SAID)
    rankings = pd.read_csv(tmp_path / "0" / "rankings.csv").assign(target_text="another")
    rankings.to_csv(tmp_path / "0" / "rankings.csv", index=False)
    _, read = page_in(_reported(tmp_path))
    assert read.windows == {}
    assert read.texts["r"] == list(SAID)


# ---- The page itself


def test_nothing_leads_out_of_the_page(page: tuple[str, PageReader]) -> None:
    no_outside(*page)


def test_it_has_the_structure_that_screen_readers_need(page: tuple[str, PageReader]) -> None:
    html, read = page
    assert len(read.ids) == len(set(read.ids))
    assert {address[1:] for address in read.addresses if address.startswith("#")} <= set(read.ids)
    assert html.count("<h1") == 1
    assert read.headings[1:] == [
        "Overview",
        "Scores by value and intensity",
        "Effects of steering, and comparisons",
        "Refusals",
        "Responses",
    ]
    assert read.tags.count("caption") == read.tags.count("table")
    assert '<html lang="en">' in html


def test_only_our_script_may_run(page: tuple[str, PageReader]) -> None:
    html, read = page
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    allowed = dict(part.strip().split(" ", 1) for part in policy[1].split(";"))
    assert allowed["default-src"] == "'none'"
    assert allowed["script-src"] == f"'sha256-{digest}'"
    assert allowed["img-src"] == "data:"
    assert read.handlers == []


def test_the_same_runs_give_the_same_page_whatever_the_order_of_rows_in_their_rankings(tmp_path: Path) -> None:
    for job, intensity in enumerate((-1, 1)):
        write_judged_job(tmp_path / str(job), SAID, intensity=intensity)
    before = make_report(tmp_path).html
    for job in range(2):
        file = tmp_path / str(job) / "rankings.csv"
        table = pd.read_csv(file, keep_default_na=False)
        # Windows of a response stay in their order.
        table.sort_values("row_idx", ascending=False, kind="stable").to_csv(file, index=False)
    assert make_report(tmp_path).html == before


def test_the_order_of_folders_changes_no_figure(sweeps: Path, page: tuple[str, PageReader]) -> None:
    _, read = page
    other = PageReader(make_report([sweeps / name for name in ("plain", "qwen", "phi")]).html)
    for caption in ("Mean scores with 95% intervals", "Refusals by intensity"):
        assert sorted(other.tables[caption]) == sorted(read.tables[caption])


@pytest.mark.slow
def test_more_series_than_colors_have_lines_of_their_own_in_the_legend(tmp_path: Path) -> None:
    for model in range(26):
        write_sweep(tmp_path / str(model), values=("power",), intensities=(-2, 2), model=f"m{model}", n_queries=3)
    html = make_report(tmp_path).html
    lines = re.findall(r'<li dir="auto"><svg[^>]*><path ([^>]*)/></svg>(m\d+)</li>', html)
    assert [name for _, name in lines] == [f"m{model}" for model in range(26)]
    assert len({line for line, _ in lines[:24]}) == 24
    assert "26 series share 24 kinds of lines; the table below tells them apart." in html


def test_windows_of_a_panel_failed_windows_and_responses_without_a_score(tmp_path: Path) -> None:
    folder = write_judged_job(tmp_path / "0", SAID[:3])
    table = pd.read_csv(folder / "rankings.csv", keep_default_na=False)
    table["judge"] = ["first", "second"] * 3
    table.loc[table["row_idx"] == 0, ["ranking", "failure"]] = ["", "no ranking in the answer"]
    table.to_csv(folder / "rankings.csv", index=False)
    scores = pd.read_csv(folder / "scores.csv", keep_default_na=False)
    scores[["benevolence_score", "benevolence_low", "benevolence_high"]] = scores[
        ["benevolence_score", "benevolence_low", "benevolence_high"]
    ].astype(object)
    scores.loc[0, ["benevolence_score", "benevolence_low", "benevolence_high"]] = ""
    scores.to_csv(folder / "scores.csv", index=False)
    _, read = page_in(_reported(tmp_path))
    assert read.texts["r"] == [SAID[1], SAID[2], SAID[0]]
    assert "window 1, first" in read.windows
    failed = read.windows["window 2, second, failed: no ranking in the answer"]
    assert [item[:2] for item in failed] == ["-:", "-:", "-:"]
    rows = [row for row in read.tables["Responses with their scores"][1:] if len(row) > 3]
    assert rows[-1][2:4] == ["-", "- to -"]


@given(st.text(st.characters(), max_size=60))
def test_any_text_is_shown_as_it_is_but_for_what_html_has_no_place_for(text: str) -> None:
    read = PageReader(f'<p class="r">{shown_text(text)}')
    shown = read.texts["r"][0]
    text = text.replace("\r\n", "\n")
    assert len(shown) == len(text)
    for letter, seen in zip(text, shown, strict=True):
        is_control = (ord(letter) < 0x20 and letter not in "\n\t") or 0x7F <= ord(letter) < 0xA0
        assert seen == letter or is_control or 0xD800 <= ord(letter) < 0xE000


def test_what_is_cut_is_counted() -> None:
    assert str(shown_text("<" * 1200, 2)) == '&lt;&lt;<span class="cut">... cut: 1,200 characters in all</span>'


def test_lines_that_end_as_on_windows_end_as_any_other() -> None:
    assert str(shown_text("one\r\ntwo\rthree")) == "one\ntwo\u240dthree"


def test_names_that_xml_has_no_place_for_are_drawn_and_named_all_the_same(tmp_path: Path) -> None:
    for model in ("a\uffff", "b\x07"):
        write_sweep(tmp_path / str(ord(model[1])), values=("power",), intensities=(-2, 2), model=model)
    html, _ = page_in(_reported(tmp_path))
    labels = re.findall(r'<svg[^>]* aria-label="([^"]+)"', html)
    assert any("b\u2407" in label for label in labels)
    assert "\x07" not in html


# ---- In a browser


def _as_shown(text: str) -> str:
    pictures = {"\x07": "\u2407", "\x1b": "\u241b", "\x00": "\u2400", "\x7f": "\u2421", "\r\n": "\n"}
    for control, picture in pictures.items():
        text = text.replace(control, picture)
    return text if len(text) <= 600 else f"{text[:600]}... cut: {len(text):,} characters in all"


@needs_browser
@pytest.mark.slow
def test_hostile_texts_are_texts_in_a_browser(tmp_path: Path) -> None:
    for job, intensity in enumerate((0, 2)):
        write_judged_job(tmp_path / str(job), HOSTILE, intensity=intensity, model="<b onclick='window.hacked=5'>&")
    folder = _reported(tmp_path)
    no_outside(*page_in(folder))
    with browser() as page:
        page.open(folder / "report.html")
        page.run("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
        assert page.run("window.hacked") is None
        shown = page.run("[...document.querySelectorAll('.r')].map((text) => text.textContent)")
        assert len(shown) == 2 * len(HOSTILE)
        expected = [_as_shown(text) for text in HOSTILE]
        assert sorted(shown) == sorted(2 * expected)
        assert any(text.endswith(f"... cut: {len(HOSTILE[3]):,} characters in all") for text in shown)
        # What is added to a text that runs from right to left does not run with it.
        assert page.run("getComputedStyle(document.querySelector('.cut')).unicodeBidi") == "isolate"
        assert page.run("document.querySelectorAll('script').length") == 1
        assert page.run("document.querySelectorAll('img, h1').length") == 1
        assert page.complaints == []
        assert [url for url in page.requests if not url.startswith("file:")] == []


@needs_browser
@pytest.mark.slow
def test_filter_sort_and_windows_work_in_a_browser(tmp_path: Path) -> None:
    for job, (value, intensity) in enumerate([("benevolence", -2), ("benevolence", 2), ("power", 2)]):
        said = [f"{value} {intensity} {number}" for number in range(8)]
        write_judged_job(tmp_path / str(job), said, value=value, intensity=intensity)
    folder = _reported(tmp_path)
    visible = "[...document.querySelectorAll('#all > tbody > tr')].filter((row) => !row.hidden)"
    with browser() as page:
        page.open(folder / "report.html")
        assert page.run("document.getElementById('count').textContent") == "24 of 24 responses"
        choose = """(() => { const select = document.querySelectorAll('#filters select')[%d];
            select.value = %r; select.dispatchEvent(new Event('input', {bubbles: true})); })()"""
        page.run(choose % (0, "pvq/benevolence"))
        page.run(choose % (1, "+2"))
        texts = page.run(f"{visible}.map((row) => row.querySelector('.r').textContent)")
        assert texts == [f"benevolence 2 {number}" for number in range(8)]
        page.run("""(() => { const words = document.getElementById('words'); words.value = '2 5';
            words.dispatchEvent(new Event('input', {bubbles: true})); })()""")
        assert page.run(f"{visible}.length") == 1
        page.run("document.querySelectorAll('#all > thead button')[2].click()")
        page.run("document.querySelectorAll('#all > thead button')[2].click()")
        scores = page.run("[...document.querySelectorAll('#all > tbody > tr')].map((row) => row.cells[2].textContent)")
        assert [float(score) for score in scores] == sorted(map(float, scores), reverse=True)
        assert page.run("document.querySelectorAll('#all > thead th')[2].getAttribute('aria-sort')") == "descending"
        page.run("document.querySelector('#all details').open = true")
        page.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
        window = page.run("[...document.querySelector('#all details[open] ol').children].map((item) => item.innerText)")
        assert any(re.fullmatch(r"\d: benevolence anchor \d high \(rated 4.5\)", line) for line in window), window
        assert page.complaints == []
        wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        for width in (1280, 400):
            page.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
            assert page.run(wide), width


@needs_browser
@pytest.mark.slow
def test_every_response_window_and_ranking_of_a_chosen_cell_is_found_in_a_browser(tmp_path: Path) -> None:
    for job, intensity in enumerate((-2, 2)):
        said = [f"said at {intensity}: {number}" for number in range(8)]
        write_judged_job(tmp_path / str(job), said, intensity=intensity)
    folder = _reported(tmp_path)
    with browser() as page:
        page.open(folder / "report.html")
        page.run("""(() => { const select = document.querySelectorAll('#filters select')[1];
            select.value = '+2'; select.dispatchEvent(new Event('input', {bubbles: true})); })()""")
        page.run("document.querySelectorAll('#all details').forEach((details) => { details.open = true; })")
        page.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
        found = page.run("""[...document.querySelectorAll('#all > tbody > tr')].filter((row) => !row.hidden)
            .map((row) => [row.querySelector('.r').textContent,
            [...row.querySelectorAll('ol')].map((list) => [...list.children].map((item) => item.textContent))])""")
    expected: dict[str, list[list[str]]] = {}
    for window in pd.read_csv(tmp_path / "1" / "rankings.csv").to_dict("records"):
        best_first = json.loads(window["ranking"])
        texts = {1: "this response"} | {
            place + 1: f"{window[f'db_text_{place}']} (rated {window[f'db_score_{place}']})" for place in (1, 2)
        }
        shown = [f"{best_first.index(item) + 1}: {texts[item]}" for item in json.loads(window["prompt_order"])]
        expected.setdefault(window["target_text"], []).append(shown)
    assert len(found) == 8
    assert dict(found) == expected
