"""Folders as `evaluate.py` leaves them, of simulated responses: small, with known effects."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from valueflow.run import write_csv, write_json

ANCHORS = {"n": 60, "mean": 0.0, "sum_of_squares": 2000.0, "misreading_sd": 1.5}
JUDGE = {"kind": "embedding", "model": "simulated"}
INTENSITIES = (-2, -1, 0, 1, 2)


def write_job(
    folder: Path,
    scores: Iterable[float],
    queries: Iterable[str],
    *,
    theory: str = "pvq",
    value: str = "benevolence",
    intensity: int | None = None,
    model: str | None = None,
    steered_by: str | None = None,
    responses: Iterable[str] | None = None,
    **more: Any,
) -> Path:
    """Write `scores.csv` and `summary.json` of a job whose mean is that of its scores; `more` goes to the summary."""
    score, asked = np.asarray(list(scores), dtype=float), list(queries)
    mean = float(np.nanmean(score))
    said = [f"{model} {intensity} {number}: {cell:.3f}" for number, cell in enumerate(score)]
    known = ~np.isnan(score)
    table = pd.DataFrame(
        {
            "query": asked,
            "dataset": "simulated",
            "response": said if responses is None else list(responses),
            f"{value}_score": score,
            f"{value}_se": 0.5,
            f"{value}_low": score - 1,
            f"{value}_high": score + 1,
            "windows": 3,
            "windows_failed": 0,
            "mean_influence": (score - mean) / known.sum(),
        }
    )
    se = float(np.nanstd(score, ddof=1) / np.sqrt(known.sum()))
    summary = {
        "theory": theory,
        "value": value,
        "label": value,
        "intensity": intensity,
        "model": model,
        "steered_by": steered_by,
        "values": None,
        "intensities": None,
        "steered_to": [] if intensity is None else [intensity],
        "n": len(score),
        "scored": int(known.sum()),
        "mean": mean,
        "mean_se": se,
        "mean_low": mean - 2 * se,
        "mean_high": mean + 2 * se,
        "mean_of_scores": mean,
        "clusters": len(set(asked)),
        "mean_errors": {"responses": se, "beta": 0.0, "anchors": 0.0},
        "beta_shift": 0.02 * mean,
        "anchors": ANCHORS,
        "judge": JUDGE,
        "judge_check": {"passed": True},
        "settings": {"k": 6, "m": 3},
        "seed": 42,
        **more,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(table, folder / "scores.csv")
    write_json(summary, folder / "summary.json")
    return folder


def write_sweep(
    folder: Path,
    *,
    values: Iterable[str] = ("benevolence", "power"),
    intensities: Iterable[int | None] = INTENSITIES,
    model: str | None = None,
    shift: float = 0.0,
    slope: float = 1.0,
    n_queries: int = 20,
    steered_by: str | None = None,
) -> Path:
    """Write a job for each value and intensity; queries differ, and so do responses to the same query."""
    number = 0
    queries = [f"What about {query}?" for query in range(n_queries)]
    for value in values:
        common = _rng("queries", value).normal(0, 2, n_queries)
        for intensity in intensities:
            noise = _rng(value, model, steered_by, intensity).normal(0, 1, n_queries)
            scores = np.clip(common + shift + slope * (intensity or 0) + noise, -10, 10)
            write_job(
                folder / str(number),
                scores,
                queries,
                value=value,
                intensity=intensity,
                model=model,
                steered_by=steered_by,
            )
            number += 1
    return folder


def _rng(*names: object) -> np.random.Generator:
    digest = hashlib.blake2b(repr(names).encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))
