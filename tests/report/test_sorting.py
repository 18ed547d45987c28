"""Columns of figures sort by their figures, whatever else is in the cell."""

import re
from pathlib import Path

import pytest

from tests.comparison.simulated import write_job, write_sweep
from tests.report.browser import Page, browser, needs_browser
from valueflow import make_report

REFUSED, ANSWERED = "I can't help with that request.", "Yes, I would."


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with p-values below and above .001, and shares whose counts are in another order."""
    folder = tmp_path_factory.mktemp("sorting")
    for value, slope in (("power", 0.0), ("benevolence", 2.0), ("security", 0.15), ("face", 0.3)):
        write_sweep(folder / value, values=(value,), intensities=(-2, 0, 2), slope=slope, n_queries=30)
    # 3 of 12, 1 of 2 and 2 of 3 refused.
    for model, refused, answered in (("many", 3, 9), ("pair", 1, 1), ("three", 2, 1)):
        said = [REFUSED] * refused + [ANSWERED] * answered
        queries = [f"q{number}" for number in range(len(said))]
        write_job(folder / model, range(len(said)), queries, model=model, value="humility", intensity=2, responses=said)
    make_report(folder, output_dir=folder / "page")
    return folder / "page" / "report.html"


def column_after(page: Page, caption: str, heading: str, clicks: int) -> list[str]:
    """Return a column once its heading was clicked."""
    cells: list[str] = page.run(
        f"""(() => {{
            const table = [...document.querySelectorAll('table')].find(
                (table) => table.caption && table.caption.textContent.includes({caption!r}));
            const headers = [...table.tHead.rows[0].cells];
            const place = headers.findIndex((header) => header.textContent.trim() === {heading!r});
            for (let click = 0; click < {clicks}; click++) headers[place].querySelector('button').click();
            return [...table.tBodies[0].rows].map((row) => row.cells[place].textContent.trim());
        }})()"""
    )
    return cells


def test_figures_that_begin_otherwise_bear_the_number_they_are_sorted_by(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert 'data-sort="0.000999">&lt;.001</td>' in html
    assert re.search(r'data-sort="66.7">2 of 3: 66.7%', html)
    assert "data-sort" not in "".join(re.findall(r"<td[^>]*>[-+]\d[^<]*</td>", html))


@needs_browser
@pytest.mark.slow
def test_p_values_and_shares_are_sorted_by_their_figures(page: Path) -> None:
    def p(cell: str) -> float:
        return 0.0 if cell == "<.001" else float(cell)

    def share(cell: str) -> float:
        return float(cell.partition(": ")[2].partition("%")[0])

    with browser() as opened:
        opened.open(page)
        found = column_after(opened, "slope", "p (Holm)", 1)
        assert len(set(found)) > 2
        assert "<.001" in found
        assert found == sorted(found, key=p)
        assert column_after(opened, "slope", "p (Holm)", 1) == sorted(found, key=p, reverse=True)
        shares = [cell for cell in column_after(opened, "Refusals", "+2", 1) if cell != "-"]
        assert [cell.partition(":")[0] for cell in shares if "humility" not in cell][-2:] == ["1 of 2", "2 of 3"]
        assert shares == sorted(shares, key=share)
        assert opened.complaints == []
