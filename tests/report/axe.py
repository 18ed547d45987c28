"""axe-core, the accessibility checker: a package of npm that tests use where it is there (CONTRIBUTING.md)."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.report.browser import Page

_NAME = "axe.min.js"
_HERE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / _NAME
AXE = Path(os.environ.get("VALUEFLOW_AXE", _HERE))

needs_axe = pytest.mark.skipif(
    not AXE.is_file(),
    reason="there is no axe-core here (npm install axe-core, or VALUEFLOW_AXE=PATH/axe.min.js)",
)


def findings(page: Page) -> list[str]:
    """Return what axe-core finds in the open page, from minor to critical: rule, and where it is broken first."""
    page.call("Runtime.evaluate", expression=AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = json.loads(
        page.run("axe.run({resultTypes: ['violations']}).then((result) => JSON.stringify(result.violations))")
    )
    return [
        f"{rule['id']} ({rule['impact']}): {len(rule['nodes'])} like {rule['nodes'][0]['html'][:300]}" for rule in found
    ]
