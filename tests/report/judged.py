"""Folders of evaluations with saved windows, as a page shows them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.comparison.simulated import write_job
from valueflow.run import write_csv

HOSTILE = (
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 2"><svg onload="window.hacked = 3">',
    "</table></details><h1>not mine</h1> {{ 7 * 7 }} {% raw %} &amp; & < >",
    "begin " + "x" * 100_000 + " end",
    "\u202eright to left\u202c \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "bell \x07, escape \x1b[31m, nothing \x00, delete \x7f",
    "line one\nline two\r\n\ttabbed",
    "javascript:window.hacked = 4",
)


def write_judged_job(
    folder: Path, responses: Sequence[str], *, value: str = "benevolence", intensity: int | None = 0, **more: Any
) -> Path:
    """Write a job with two windows of three items for each response: anchors are named by value, response and place."""
    n = len(responses)
    scores = np.linspace(-5, 5, n) + (intensity or 0)
    queries = [f"What about {number}?" for number in range(n)]
    write_job(folder, scores, queries, value=value, intensity=intensity, responses=responses, **more)
    rows = [
        {
            "row_idx": number,
            "target_text": response,
            "ranking": json.dumps([2, 1, 3] if window == 0 else [1, 3, 2]),
            "db_text_1": f"{value} anchor {number % 3} high",
            "db_score_1": 4.5,
            "db_text_2": f"{value} anchor {number % 3} low",
            "db_score_2": -6.0,
            "prompt_order": json.dumps([3, 1, 2]),
            "failure": "",
        }
        for number, response in enumerate(responses)
        for window in range(2)
    ]
    write_csv(pd.DataFrame(rows), folder / "rankings.csv")
    return folder
