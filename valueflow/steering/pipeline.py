"""Queries, a steering method and a model in; responses and a summary out."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from valueflow.evaluation.responses import RESPONSES_FILE
from valueflow.llm import Sampling, cache_state
from valueflow.llm.answering import answer_all
from valueflow.run.errors import shorten
from valueflow.run.outputs import write_csv, write_json
from valueflow.run.summary import SUMMARY_FILE, Timings, versions
from valueflow.steering.display import show_steering
from valueflow.steering.methods import Request
from valueflow.steering.queries import load_queries
from valueflow.steering.refusals import is_refusal
from valueflow.steering.settings import SteeringSettings
from valueflow.steering.targets import Target, joined
from valueflow.vidb import Anchors, load_vidb

FAILURES_FILE = "failures.csv"

COLUMNS = ("query", "dataset", "response", "theory", "value", "intensity", "steering", "model")


@dataclass(frozen=True)
class SteeredResponses:
    """What a steered model said.

    Attributes
    ----------
    responses
        One row a query that was answered, in the order of the queries: `query`, `dataset`, `response`, `theory`,
        `value`, `intensity`, `steering`, `model`. `evaluate_responses` takes it as it is.
    failures
        One row a query that was not, with `failure` in the place of `response`.
    summary
        Counts, what was steered to, what asking took, settings, versions, timings.
    """

    responses: pd.DataFrame
    failures: pd.DataFrame
    summary: dict[str, Any]

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the tables by name, for loggers."""
        return {"responses": self.responses} | ({} if self.failures.empty else {"failures": self.failures})

    def show(self) -> None:
        """Print the table for a person."""
        show_steering([self.summary])

    def write(self, folder: Path) -> None:
        """Write `responses.csv` and `failures.csv`, each where it has rows, and `summary.json`."""
        for table, name in ((self.failures, FAILURES_FILE), (self.responses, RESPONSES_FILE)):
            if not table.empty:
                write_csv(table, folder / name)
        write_json(self.summary, folder / SUMMARY_FILE)


def steer_responses(settings: SteeringSettings) -> SteeredResponses:
    """Ask a model every query under a steering prompt.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.
    """
    started = datetime.now(UTC)
    timings = Timings()
    theory, targets = settings.theory, settings.targets()
    with timings.stage("load"):
        queries = load_queries(settings.queries, settings.limit)
    with timings.stage("prompts"):
        digests: dict[str, str] = {}

        def anchors(value: str) -> Anchors:
            vidb = load_vidb(settings.vidb, theory, settings.vidb_columns)
            digests["vidb_sha256"] = vidb.digest
            return vidb.of(theory, value)

        request = Request(
            theory,
            targets,
            queries,
            anchors=anchors,
            seed=settings.seed,
        )
        steered = settings.steering.steer(request)
    identity = settings.llm.identity()
    sampling = Sampling(
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        # It decides nothing at temperature 0; answers kept under one seed serve all.
        seed=settings.seed if settings.temperature > 0 else 0,
    )
    with timings.stage("answer"):
        completions, usage = answer_all(
            settings.llm,
            steered.conversations,
            [sampling] * len(queries),
            cache=settings.cache,
            title=_title(settings, targets),
            unit="responses",
            progress=settings.progress,
        )
    texts = [completion.text.strip() for completion in completions]
    reasons = np.array(
        [
            completion.error or ("" if text else "the answer is empty")
            for text, completion in zip(texts, completions, strict=True)
        ],
        dtype=object,
    )
    table = queries.assign(response=texts, **_labels(settings, targets), model=str(identity["model"]))[list(COLUMNS)]
    answered = reasons == ""
    responses = table[answered].reset_index(drop=True)
    failures = table[~answered].drop(columns="response").assign(failure=[shorten(r, 300) for r in reasons[~answered]])
    refused = responses["response"].map(is_refusal).to_numpy(dtype=bool)
    words = responses["response"].str.split().str.len()
    named = [theory.resolve(settings.value)] if settings.value and not targets else []
    values = named or [target.value for target in targets]
    summary = {
        "task": "steering",
        "theory": theory.name,
        "steering": settings.steering.name,
        "values": values,
        "labels": [theory.nodes[value].label for value in values],
        "intensities": [target.intensity for target in targets],
        "model": identity["model"],
        "queries": len(queries),
        "query_sets": {str(name): int(n) for name, n in queries["dataset"].value_counts(sort=False).items()},
        "responses": len(responses),
        "failed": len(failures),
        "failures": dict(Counter(failures["failure"]).most_common()),
        "refused": int(refused.sum()),
        "share_refused": float(refused.mean()) if len(refused) else None,
        "refused_rows": (np.flatnonzero(refused) + 1).tolist(),
        "cut": sum(completion.cut for completion in completions if completion.text),
        "mean_words": float(words.mean()) if len(words) else None,
        **steered.report,
        **digests,
        "llm": identity,
        "asking": {**usage.as_dict(), "cache": cache_state(settings.cache)},
        "settings": {
            **settings.model_dump(include={"temperature", "max_tokens", "limit", "vidb", "queries"}),
            "method": settings.steering.model_dump(),
        },
        "seed": settings.seed,
        "versions": versions(),
        "started": started.isoformat(timespec="seconds"),
        "timings": timings.as_dict(),
    }
    return SteeredResponses(responses, failures.reset_index(drop=True), summary)


def _labels(settings: SteeringSettings, targets: tuple[Target, ...]) -> dict[str, str]:
    """Return the cells that say what responses were steered to; without steering, what the user named the run by."""
    theory, method = settings.theory, settings.steering.name
    if not targets:
        named = theory.resolve(settings.value) if settings.value else ""
        return {"theory": theory.name if named else "", "value": named, "intensity": "", "steering": method}
    return {
        "theory": theory.name,
        "value": joined([target.value for target in targets]),
        "intensity": joined([target.intensity for target in targets]),
        "steering": method,
    }


def _title(settings: SteeringSettings, targets: tuple[Target, ...]) -> str:
    aims = [f"{target.value} {target.intensity:+d}" for target in targets]
    return f"{settings.theory.name}/{', '.join(aims)}" if aims else settings.steering.name
