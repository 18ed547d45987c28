"""A page as axe-core judges it: evaluations with everything that goes wrong, and runs of other kinds."""

from pathlib import Path

import pandas as pd
import pytest

from tests.comparison.simulated import write_sweep
from tests.report.axe import findings, needs_axe
from tests.report.browser import browser, needs_browser
from tests.report.judged import HOSTILE, write_judged_job
from valueflow import make_report
from valueflow.run import write_csv, write_json


@pytest.fixture
def page(tmp_path: Path) -> Path:
    runs = tmp_path / "runs"
    for job, intensity in enumerate((-2, 2)):
        write_judged_job(runs / f"judged-{job}", HOSTILE, value="power", intensity=intensity, model="phi-4")
    write_sweep(runs / "sweep", model="phi-4")
    write_sweep(runs / "other", model="qwen3", shift=2.0)
    write_sweep(runs / "plain", model="phi-4", intensities=(None,), steered_by="none")
    write_json({"error": "the server is down", "input": False}, runs / "failed" / "error.json")
    write_json({"task": "train"}, runs / "train" / "summary.json")
    write_csv(pd.DataFrame({"step": [1, 10, 20], "train/loss": [3.0, 2.0, 1.25]}), runs / "train" / "curve.csv")
    write_json({"task": "unknown", "n": 1}, runs / "unknown" / "summary.json")
    (runs / "unknown" / "shown.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>')
    write_csv(pd.DataFrame({"text": ["one"], "score": [1.5]}), runs / "unknown" / "found.csv")
    make_report(runs, output_dir=tmp_path / "page")
    return tmp_path / "page" / "report.html"


@needs_browser
@needs_axe
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_checker_of_accessibility_finds_nothing(page: Path, scheme: str) -> None:
    with browser() as opened:
        opened.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        for width in (1280, 400):
            opened.call(
                "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
            )
            opened.open(page)
            opened.run("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
            # Windows get their texts once they are open.
            opened.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
            assert findings(opened) == []
            assert opened.complaints == []
