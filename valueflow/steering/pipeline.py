"""Queries, a steering method and a model in; responses and a summary out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from valueflow.llm import Client, Sampling, cache_state, check_residual_stream
from valueflow.opinionqa import (
    ACCURACY_FILE,
    DETAILS_FILE,
    RELEVANCE_FILE,
    SurveyAnswers,
    answer_survey,
    show_survey,
    show_surveys,
)
from valueflow.responses import PRICE, RESPONSES_FILE
from valueflow.run import Run, SweepView, Task, row_keys, shorten
from valueflow.steering.display import show_steering
from valueflow.steering.held_out import held_out
from valueflow.steering.methods import Request
from valueflow.steering.outcome import FAILURES_FILE, VECTORS_FOLDER, SteeredResponses
from valueflow.steering.price import price
from valueflow.steering.queries import load_queries
from valueflow.steering.refusals import is_refusal
from valueflow.steering.settings import SteeringSettings
from valueflow.steering.targets import Target
from valueflow.vidb import Anchors, load_vidb

_PRICE_SET = "price=true"
COLUMNS = ("query", "dataset", "response", "theory", "value", "intensity", "steering", "model")


def steer(*, output_dir: str | Path | None = None, **settings: Any) -> SteeredResponses | SurveyAnswers:
    """Ask a model queries under a steering prompt or, with a preset, a survey in the place of demographic groups.

    Parameters
    ----------
    output_dir
        Folder for the tables and `summary.json`; None writes nothing.
    **settings
        Fields of `SteeringSettings`, the same as on the command line; what is not given has the default of
        `configs/steer.yaml`. `theory`, `steering`, `llm`, `preset` and `opinionqa` take the name of an option, and
        all but `preset` also an object; a dotted key (`opinionqa.questions`) sets one of an option's own.

    Returns
    -------
    SteeredResponses or SurveyAnswers
        The latter with a preset.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.

    Examples
    --------
    >>> result = steer(value="benevolence", intensity=2, llm="smollm2", limit=3)  # doctest: +SKIP
    >>> result.responses["response"]  # doctest: +SKIP
    """
    return TASK.call(settings, output_dir)


def _steer(settings: SteeringSettings, run: Run) -> SteeredResponses | SurveyAnswers:
    if settings.preset is not None:
        run.share.refuse("a survey (preset=...) chooses by all questions which of them use the profile; run it whole")
        return answer_survey(settings, run)
    theory, targets = settings.theory, settings.targets()
    if settings.price:
        run.share.refuse(f"{_PRICE_SET} asks the model once more about all responses; leave it out, or run it whole")
        check_residual_stream(settings.llm, _PRICE_SET)
    if settings.steering.indivisible:
        run.share.refuse(settings.steering.indivisible)
    with run.stage("load"):
        queries = load_queries(settings.queries, settings.limit, run.bad_rows)
        queries = queries[run.share.take(row_keys(queries, settings.seed))].reset_index(drop=True)
    with run.stage("prompts"):
        digests: dict[str, str] = {}

        def anchors(value: str) -> Anchors:
            vidb = load_vidb(settings.vidb, theory, settings.vidb_columns, run.bad_rows)
            digests["vidb_sha256"] = vidb.digest
            return vidb.of(theory, value)

        request = Request(
            theory,
            targets,
            queries,
            anchors=anchors,
            seed=settings.seed,
            model=settings.llm,
            progress=settings.progress,
        )
        client = Client(settings.llm, settings.cache)
        sampling = Sampling(
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
            # It decides nothing at temperature 0; completions cached under one seed serve all.
            seed=settings.seed if settings.temperature > 0 else 0,
        )
        request = replace(request, held_out=partial(held_out, settings, request, client, sampling))
        steered = settings.steering.steer(request)
    identity = settings.llm.identity()
    with run.stage("answer"):
        completions = client.ask(
            steered.conversations,
            replace(sampling, additions=steered.additions),
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
    labels = {**settings.labels(targets), "model": str(identity["model"]), **steered.columns}
    table = queries.assign(response=texts, **labels)[[*COLUMNS, *steered.columns]]
    answered = reasons == ""
    responses = table[answered].reset_index(drop=True)
    failures = table[~answered].drop(columns="response").assign(failure=[shorten(r, 300) for r in reasons[~answered]])
    if settings.price:
        with run.stage("price"):
            figures = price(request, settings.llm, responses, what=_PRICE_SET, progress=settings.progress)
        responses = responses.join(figures)
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
        "truncated": sum(completion.truncated for completion in completions if completion.text),
        "mean_words": float(words.mean()) if len(words) else None,
        **steered.report,
        **_mean_price(responses),
        **digests,
        "llm": identity,
        "asking": {**client.usage.as_dict(), "cache": cache_state(settings.cache)},
        "settings": {
            **settings.model_dump(include={"temperature", "max_tokens", "limit", "vidb", "queries"}),
            "method": settings.steering.model_dump(),
        },
    }
    return SteeredResponses(
        responses=responses,
        failures=failures.reset_index(drop=True),
        vectors=steered.vectors,
        summary=summary,
    )


def _mean_price(responses: pd.DataFrame) -> dict[str, float]:
    """Return the geometric mean perplexity and the mean repetition, where they are known."""
    if not {*PRICE} <= {*responses.columns} or responses.empty:
        return {}
    perplexity, repetition = responses["perplexity"], responses["repetition"]
    return {"perplexity": float(np.exp(np.log(perplexity).mean())), "repetition": float(repetition.mean())}


def _title(settings: SteeringSettings, targets: tuple[Target, ...]) -> str:
    aims = [f"{target.value} {target.intensity:+d}" for target in targets]
    return f"{settings.theory.name}/{', '.join(aims)}" if aims else settings.steering.name


def _name_responses(jobs: Mapping[Path, Mapping[str, Any]], others: Sequence[str], folder: Path) -> list[str]:
    return [f"responses: one folder per job; python evaluate.py responses={folder} value=..."]


TASK = Task(
    name="steer",
    settings=SteeringSettings,
    run=_steer,
    outputs=(RESPONSES_FILE, FAILURES_FILE, VECTORS_FOLDER, DETAILS_FILE, ACCURACY_FILE, RELEVANCE_FILE),
    sweep=(
        SweepView(
            show_steering,
            ("theory", "value", "values", "intensity", "intensities", "steering"),
            _name_responses,
            kind="steering",
        ),
        SweepView(show_surveys, ("preset", "theory", "llm"), kind="opinionqa", one=show_survey),
    ),
    divides=True,
)
