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
from valueflow.opinionqa.measures import SurveyMeasures, measure_survey
from valueflow.opinionqa.outcome import SurveyAnswers
from valueflow.opinionqa.passes import Pass, ask_pass
from valueflow.opinionqa.profiles import load_profiles, select_lines
from valueflow.opinionqa.prompts import default_conversation, profile_conversation
from valueflow.opinionqa.questions import LETTERS, SurveyQuestion, load_questions
from valueflow.opinionqa.relevance import compute_relevance, read_relevance
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
        items = load_questions(survey.questions, settings.limit)
        profiles = load_profiles(survey.profiles, (item.attribute for item in items), theory)
    with run.stage("relevance"):
        if survey.relevance is not None:
            relevance, source = read_relevance(Path(survey.relevance), items), survey.relevance
        else:
            source = f"computed with encoder {survey.encoder}"
            _log.info("opinionqa.relevance is not given: %s, question against definitions", source)
            relevance = compute_relevance(items, theory, survey.encoder)
        relevant = relevance >= survey.threshold
    with run.stage("prompts"):
        lines = {attribute: select_lines(profile, survey.num_prompts) for attribute, profile in profiles.items()}
        default_prompts = [default_conversation(survey, item) for item in items]
        profile_prompts = {
            index: profile_conversation(survey, items[index], lines[items[index].attribute])
            for index in np.flatnonzero(relevant).tolist()
        }
    with run.stage("answer"):
        client = Client(settings.llm, settings.cache)
        default = ask_pass(client, settings, items, dict(enumerate(default_prompts)), "default")
        # Where the profile is not used the question is the same, and so is its answer.
        profiled = default | ask_pass(client, settings, items, profile_prompts, "profile")
    passes = {
        name: Pass(items, [answers[index] for index in range(len(items))])
        for name, answers in (("default", default), ("profile", profiled))
    }
    with run.stage("compare"):
        measured = measure_survey(items, passes["default"], passes["profile"], relevant, max(survey.samples, 1))
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
        "attributes": len(profiles),
        "overall": {key: figure for key, figure in overall.items() if key != "name"},
        "groups": by_level["group"],
        "tied_questions": sum(len(item.most_frequent) > 1 for item in items),
        "profile_used": int(relevant.sum()),
        "threshold": survey.threshold,
        "num_prompts": survey.num_prompts,
        "relevance": source,
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
        details=_details(items, relevance, relevant, passes, measured),
        accuracy=accuracy,
        relevance=_relevance_table(items, relevance) if survey.relevance is None else None,
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


def _relevance_table(items: Sequence[SurveyQuestion], relevance: npt.NDArray[np.float64]) -> pd.DataFrame:
    table = pd.DataFrame({"question": [item.question for item in items], "top_score": relevance})
    return table.drop_duplicates("question", ignore_index=True)
