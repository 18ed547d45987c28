"""The forest plot: names stay what they are, and the same table gives the same file."""

import warnings
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from valueflow.comparison.forest import draw_forest
from valueflow.run import picture_text


def rows() -> pd.DataFrame:
    """Two families of two values; as mathematics the names would not be readable."""
    return pd.DataFrame(
        [
            {"family": family, "theory": "p$v$q", "value": label, "label": label, "run": "", "model": "m$\\no$"}
            | {"steered_by": "", "targets": "", "intensity": at, "compared": "b & c $\\x$", "against": "a"}
            | {"estimate": at, "low": at - 1.0, "high": at + 1.0, "p_holm": 0.04 + 0.02 * at, "tests": 4}
            for family in ("model", "slope by model")
            for label in ("<one $\\frac$>", "two_$")
            for at in (0, 2)
        ]
    )


def test_names_are_no_mathematics_and_no_markup(tmp_path: Path) -> None:
    draw_forest(rows(), tmp_path / "forest.svg")
    written = (tmp_path / "forest.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(written)
    for name in ("p$v$q/&lt;one $\\frac$&gt;", "p$v$q/two_$", "b &amp; c $\\x$ vs a, +2"):
        assert f"<!-- {name} -->" in written


def test_the_same_table_gives_the_same_file(tmp_path: Path) -> None:
    for suffix in ("png", "svg"):
        files = [tmp_path / f"{number}.{suffix}" for number in range(2)]
        for file in files:
            draw_forest(rows(), file)
        assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].stat().st_size > 1000


@pytest.mark.parametrize("name", ["_hidden", "a\x01b\x1b[31m", "line\nbreak", "x" * 20_000])
def test_any_name_is_in_the_legend_of_a_file_that_can_be_read(tmp_path: Path, name: str) -> None:
    table = rows().assign(model=["plain", name] * 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_forest(table, tmp_path / "forest.svg")
    shown = ElementTree.parse(tmp_path / "forest.svg").getroot()
    assert float(shown.attrib["width"].removesuffix("pt")) < 3000
    legend = (tmp_path / "forest.svg").read_text(encoding="utf-8").rpartition('id="legend_')[2]
    assert picture_text(f"b & c $\\x$ vs a, {name}").replace("&", "&amp;").replace("\\$", "$") in legend
