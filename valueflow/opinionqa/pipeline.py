"""A survey, the profiles of groups and a model in; answers of two passes and their accuracy out."""

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.llm import Client, Completion, Conversation, Sampling, cache_state
from valueflow.opinionqa.accuracy import accuracy_table
from valueflow.opinionqa.answers import letter_constraint, read_option
from valueflow.opinionqa.outcome import SurveyAnswers
from valueflow.opinionqa.profiles import load_profiles, select_lines
from valueflow.opinionqa.prompts import default_conversation, profile_conversation
from valueflow.opinionqa.questions import LETTERS, SurveyQuestion, load_questions
from valueflow.opinionqa.relevance import compute_relevance, read_relevance
from valueflow.opinionqa.settings import SurveySettings
from valueflow.run import Run, shorten

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Pass:
    """The answers of one pass, N of each."""

    completions: Sequence[Completion]
    chosen: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]

    def columns(self, name: str) -> dict[str, Sequence[object]]:
        return {
            f"{name}_answer": [completion.text for completion in self.completions],
            f"{name}_option": [LETTERS[option] if option >= 0 else "" for option in self.chosen.tolist()],
            f"{name}_right": self.right.tolist(),
            f"{name}_failure": [shorten(completion.error, 300) for completion in self.completions],
        }

    def counts(self) -> dict[str, object]:
        failures = Counter(shorten(completion.error, 300) for completion in self.completions if completion.error)
        failed = failures.total()
        return {
            "unparsable": int((self.chosen < 0).sum()) - failed,
            "failed": failed,
            "failures": dict(failures.most_common()),
        }


def answer_survey(settings: SurveySettings, run: Run) -> SurveyAnswers:
    """Ask a model a survey's questions in the place of groups: once by the default prompt, once with their profiles.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.
    """
    survey, theory = settings.opinionqa, settings.theory
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
        default = _answers(client, settings, items, dict(enumerate(default_prompts)), "default")
        # Where the profile is not used the question is the same, and so is its answer.
        profiled = _answers(client, settings, items, profile_prompts, "profile")
    passes = {"default": _read(items, default), "profile": _read(items, default | profiled)}
    accuracy = accuracy_table(
        [item.attribute for item in items],
        [item.group for item in items],
        passes["default"].right,
        passes["profile"].right,
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
        "llm": identity,
        "asking": {**client.usage.as_dict(), "cache": cache_state(settings.cache)},
        "settings": {
            **survey.model_dump(),
            **settings.model_dump(include={"temperature", "limit"}),
        },
    }
    return SurveyAnswers(
        details=_details(items, relevance, relevant, passes),
        accuracy=accuracy,
        relevance=_relevance_table(items, relevance) if survey.relevance is None else None,
        summary=summary,
    )


def _answers(
    client: Client,
    settings: SurveySettings,
    items: Sequence[SurveyQuestion],
    prompts: Mapping[int, Conversation],
    name: str,
) -> dict[int, Completion]:
    """Ask one pass in one batch; prompts and completions by the index of their item."""
    samplings = [
        Sampling(
            temperature=settings.temperature,
            max_tokens=settings.opinionqa.max_tokens,
            seed=settings.seed if settings.temperature > 0 else 0,
            constraint=letter_constraint(len(items[index].options)),
        )
        for index in prompts
    ]
    completions = client.ask(
        list(prompts.values()),
        samplings,
        title=f"{settings.preset}, {name} pass",
        unit="answers",
        progress=settings.progress,
    )
    return dict(zip(prompts, completions, strict=True))


def _read(items: Sequence[SurveyQuestion], completions: Mapping[int, Completion]) -> _Pass:
    ordered = [completions[index] for index in range(len(items))]
    options = [
        None if completion.error else read_option(completion.text, item.options, truncated=completion.truncated)
        for item, completion in zip(items, ordered, strict=True)
    ]
    return _Pass(
        ordered,
        chosen=np.array([-1 if option is None else option for option in options], dtype=np.int64),
        right=np.array(
            [option in item.most_frequent for option, item in zip(options, items, strict=True)], dtype=np.bool_
        ),
    )


def _details(
    items: Sequence[SurveyQuestion],
    relevance: npt.NDArray[np.float64],
    relevant: npt.NDArray[np.bool_],
    passes: Mapping[str, _Pass],
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
    return pd.DataFrame(asked | answered)


def _relevance_table(items: Sequence[SurveyQuestion], relevance: npt.NDArray[np.float64]) -> pd.DataFrame:
    table = pd.DataFrame({"question": [item.question for item in items], "top_score": relevance})
    return table.drop_duplicates("question", ignore_index=True)
