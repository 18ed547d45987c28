"""A survey, the profiles of groups and a model in; answers of two passes and their accuracy out."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.llm import Client, cache_state, check_startable
from valueflow.opinionqa.accuracy import accuracy_table
from valueflow.opinionqa.asked_relevance import ask_relevance
from valueflow.opinionqa.measures import SurveyMeasures, measure_survey
from valueflow.opinionqa.outcome import SurveyAnswers
from valueflow.opinionqa.passes import Pass, ask_pass
from valueflow.opinionqa.profiles import load_profiles, select_lines, select_lines_as_published
from valueflow.opinionqa.prompts import default_conversation, profile_conversation
from valueflow.opinionqa.questions import LETTERS, SurveyQuestion, framed, load_questions, once_per_group
from valueflow.opinionqa.relevance import Relevance, compute_relevance, read_relevance, told_apart, used_items
from valueflow.opinionqa.settings import SurveySettings
from valueflow.run import Run

_log = logging.getLogger(__name__)


def answer_survey(settings: SurveySettings, run: Run) -> SurveyAnswers:
    """Ask a model a survey's questions in the place of groups: once by the default prompt, once with their profiles.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.
    """
    survey, theory = settings.opinionqa, settings.theory
    check_startable(settings.llm, settings.cache)
    with run.stage("load"):
        read = load_questions(survey.questions, settings.limit)
        items = once_per_group(read)
        if len(items) < len(read):
            _log.warning("%d questions repeat one to the same group; each counts once", len(read) - len(items))
        profiles = load_profiles(survey.profiles, (item.attribute for item in items), theory)
    client = Client(settings.llm, settings.cache)
    with run.stage("relevance"):
        relevance = _relevance(client, settings, items)
        used = used_items(relevance, items, survey)
        if not used.items.any():
            _log.warning(
                "no profile is used: no question has a relevance of %g (%s), and both passes are the same",
                *(used.from_relevance, relevance.source),
            )
    with run.stage("prompts"):
        select = select_lines if survey.profile_rule == "scores" else select_lines_as_published
        lines = {attribute: select(profile, survey.num_prompts) for attribute, profile in profiles.items()}
        default_prompts = [default_conversation(survey, item) for item in items]
        profile_prompts = {
            index: profile_conversation(survey, items[index], lines[items[index].attribute])
            for index in np.flatnonzero(used.items).tolist()
        }
    with run.stage("answer"):
        default = ask_pass(client, settings, items, dict(enumerate(default_prompts)), "default")
        # Where the profile is not used the question is the same, and so is its answer.
        profiled = default | ask_pass(client, settings, items, profile_prompts, "profile")
    passes = {
        name: Pass(items, [answers[index] for index in range(len(items))])
        for name, answers in (("default", default), ("profile", profiled))
    }
    with run.stage("compare"):
        measured = measure_survey(items, passes["default"], passes["profile"], used.items, max(survey.samples, 1))
        accuracy = accuracy_table(
            [item.attribute for item in items],
            [item.group for item in items],
            [item.question for item in items],
            passes["default"].right,
            passes["profile"].right,
            measured.measures,
        )
    by_level = {level: rows.drop(columns="level").to_dict("records") for level, rows in accuracy.groupby("level")}
    (overall,) = by_level["overall"]
    identity = settings.llm.identity()
    summary = {
        "task": "opinionqa",
        "preset": settings.preset,
        "theory": theory.name,
        "model": identity["model"],
        "n": len(items),
        "repeated": len(read) - len(items),
        "attributes": len(profiles),
        "overall": {key: figure for key, figure in overall.items() if key != "name"},
        "groups": by_level["group"],
        "tied_questions": sum(len(item.most_frequent) > 1 for item in items),
        "profile_used": int(used.items.sum()),
        "profile_used_by": used.rule,
        "profile_used_from": used.from_relevance,
        "threshold": survey.threshold,
        "num_prompts": survey.num_prompts,
        "relevance": relevance.source,
        "relevance_missing": relevance.missing,
        "passes": {name: answered.counts() for name, answered in passes.items()},
        "distributions": {name: answered.distribution_counts() for name, answered in passes.items()},
        "counts": measured.counts,
        "llm": identity,
        "asking": {**client.usage.as_dict(), "cache": cache_state(settings.cache)},
        "settings": {
            **survey.model_dump(),
            **settings.model_dump(include={"temperature", "limit"}),
        },
    }
    return SurveyAnswers(
        details=_details(items, relevance.scores, used.items, passes, measured),
        accuracy=accuracy,
        relevance=_relevance_table(items, relevance.scores) if relevance.is_computed else None,
        summary=summary,
    )


def _details(
    items: Sequence[SurveyQuestion],
    relevance: npt.NDArray[np.float64],
    relevant: npt.NDArray[np.bool_],
    passes: Mapping[str, Pass],
    measured: SurveyMeasures,
) -> pd.DataFrame:
    asked = {
        "index": range(len(items)),
        "attribute": [item.attribute for item in items],
        "group": [item.group for item in items],
        "question": [item.question for item in items],
        "options": [json.dumps(item.options, ensure_ascii=False) for item in items],
        "gold_distribution": [json.dumps(item.gold) for item in items],
        "most_frequent": ["|".join(LETTERS[option] for option in sorted(item.most_frequent)) for item in items],
        "relevance": relevance,
        "profile_used": relevant,
    }
    answered = {key: column for name, one in passes.items() for key, column in one.columns(name).items()}
    distributions = {
        key: column for name, one in passes.items() for key, column in one.distribution_columns(name).items()
    }
    return pd.DataFrame(asked | answered | distributions | dict(measured.columns))


def _relevance(client: Client, settings: SurveySettings, items: Sequence[SurveyQuestion]) -> Relevance:
    survey = settings.opinionqa
    if survey.relevance is not None:
        return read_relevance(Path(survey.relevance), items)
    if survey.relevance_by == "llm":
        return ask_relevance(client, settings, items)
    relevance = compute_relevance(items, settings.theory, survey.encoder)
    _log.info("opinionqa.relevance is not given: %s, question against definitions", relevance.source)
    return relevance


def _relevance_table(items: Sequence[SurveyQuestion], relevance: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Return the relevance of each different question; with its options where its words alone do not tell it apart."""
    texts = [
        item.question if text == item.question else framed(item.question, item.options)
        for item, text in zip(items, told_apart(items), strict=True)
    ]
    table = pd.DataFrame({"question": texts, "top_score": relevance})
    return table.drop_duplicates("question", ignore_index=True)
