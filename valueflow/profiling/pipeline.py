"""Texts or answers, an encoder and a judge in; the values of groups, persons or models out."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.judge import Cost, Criterion, cost_of_conversations, summed_report
from valueflow.llm import Usage, cache_state, check_startable
from valueflow.opinionqa import compute_relevance
from valueflow.profiling.estimates import GroupMean
from valueflow.profiling.lines import check_names, profile_of
from valueflow.profiling.measuring import MeasuredValue, cost_of_value, measure_value
from valueflow.profiling.outcome import Profiles
from valueflow.profiling.relevance import related
from valueflow.profiling.said import SaidTexts, read_models, read_said
from valueflow.profiling.settings import ProfileSettings
from valueflow.profiling.statements import MAX_TOKENS, by_model, by_template, conversations
from valueflow.profiling.surveys import SurveyTexts, questions_table, read_survey, survey_texts
from valueflow.profiling.tables import pairs_table, profiles_table
from valueflow.run import InputError, Run, progress_bar, row_keys
from valueflow.theory import Theory
from valueflow.vidb import Vidb, load_vidb

_log = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

_NO_ANCHORS = "no anchors in the VIDB"
_NO_TEXTS = "no text bears on it"
_NO_ORDER = "the judge was not shown to order the anchors"


@dataclass
class _Wording:
    """How answers became statements."""

    failures: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    cost: Cost | None = None


@dataclass(frozen=True)
class _OfTheory:
    """What is found of a theory."""

    table: pd.DataFrame
    pairs: pd.DataFrame
    figures: Mapping[str, Any]
    reports: Sequence[Mapping[str, object]]
    failures: Counter[str]


def find_profiles(settings: ProfileSettings, run: Run) -> Profiles:
    """Find the values of groups.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.
    """
    wording = _Wording()
    with run.stage("load"):
        material = _material(settings, run, wording)
        check_names(material.groups)
        vidb = load_vidb(settings.vidb, settings.theory[0], settings.vidb_columns, run.bad_rows)
        keys = row_keys(pd.DataFrame({"text": material.texts}), settings.seed)
    if settings.dry_run:
        return _planned(settings, material, vidb, keys, wording)
    relevance = {}
    for theory in settings.theory:
        relevance[theory.name] = material.spread(_relevance(settings, material, theory, run))
    found = [
        _of_theory(settings, material, theory, relevance[theory.name], vidb, keys, run) for theory in settings.theory
    ]
    table = pd.concat([part.table for part in found], ignore_index=True)
    pairs = [part.pairs for part in found if not part.pairs.empty]
    sizes = material.sizes().tolist()
    profiles = [
        profile_of(group, table[table["group"] == group], settings.theory, size)
        for group, size in zip(material.groups, sizes, strict=True)
    ]
    failures: Counter[str] = sum((part.failures for part in found), Counter(wording.failures))
    unknown = [np.isnan(relevance[theory.name]).all(axis=1).sum() for theory in settings.theory]
    summary = {
        **_head(settings, material),
        "theories": {theory.name: part.figures for theory, part in zip(settings.theory, found, strict=True)},
        "judge": settings.judge.describe(),
        "relevance": {
            **settings.relevance.describe(),
            "n": settings.relevance.n,
            "threshold": settings.relevance.threshold,
        },
        "relevance_failed": int(sum(unknown)),
        "statements_failed": len(wording.failures),
        "without_interval": int((table["mean"].notna() & table["low"].isna()).groupby(table["group"]).any().sum()),
        "failures": dict(failures.most_common()),
        "vidb_sha256": vidb.digest,
        "judging": summed_report([report for part in found for report in part.reports]),
        "wording": {**wording.usage.as_dict(), "cache": cache_state(settings.cache)},
    }
    return Profiles(
        table=table,
        pairs=pd.concat(pairs, ignore_index=True) if pairs else pd.DataFrame(),
        profiles=profiles,
        relevance=_questions(settings, material, run),
        summary=summary,
    )


def _material(settings: ProfileSettings, run: Run, wording: _Wording) -> SaidTexts | SurveyTexts:
    if settings.input is not None:
        return read_said(settings.input, settings.input_columns, settings.by, run.bad_rows)
    if settings.responses is not None:
        return read_models(settings.responses, settings.input_columns, run.bad_rows)

    def word(answers: Sequence[tuple[str, str]]) -> Sequence[str]:
        if settings.statements == "template":
            return [by_template(settings.statement, *answer) for answer in answers]
        if settings.dry_run:
            wording.cost = cost_of_conversations(conversations(settings.statement_prompt, answers), MAX_TOKENS)
            return [by_template(settings.statement, *answer) for answer in answers]
        check_startable(settings.llm, settings.cache)
        worded = by_model(
            settings.llm,
            settings.cache,
            settings.statement_prompt,
            settings.statement,
            answers,
            progress=settings.progress,
        )
        wording.failures, wording.usage = worded.failures, worded.usage
        return worded.statements

    return survey_texts(read_survey(str(settings.survey), settings.answers), word)


def _relevance(settings: ProfileSettings, material: SaidTexts | SurveyTexts, theory: Theory, run: Run) -> FloatArray:
    texts = material.texts.tolist()
    title = f"{theory.name}: which values"
    with run.stage("relevance"), progress_bar(title, len(texts), "texts", enabled=settings.progress) as advance:
        return settings.relevance.of(texts, theory, advance)


def _of_theory(
    settings: ProfileSettings,
    material: SaidTexts | SurveyTexts,
    theory: Theory,
    relevance: FloatArray,
    vidb: Vidb,
    keys: npt.NDArray[np.uint64],
    run: Run,
) -> _OfTheory:
    """Measure a theory's values one after the other: a batch each, over all groups."""
    bears = related(relevance, settings.relevance.n, settings.relevance.threshold)
    measured: dict[str, MeasuredValue] = {}
    found: dict[str, list[GroupMean]] = {}
    scale_variances: dict[str, float] = {}
    reliability: dict[str, Any] = {}
    missing: dict[str, list[str]] = {}
    reports, failures = [], Counter[str]()
    for place, value in enumerate(theory.values):
        chosen = np.flatnonzero(bears[:, place])
        anchors = _anchors(vidb, theory, value)
        if anchors is None or len(chosen) == 0:
            missing.setdefault(_NO_ANCHORS if anchors is None else _NO_TEXTS, []).append(value)
            continue
        own = measure_value(
            settings,
            Criterion(theory, value, vidb),
            anchors,
            chosen,
            material.texts,
            keys,
            run,
            judge_check=settings.judge_check,
        )
        weights = np.clip(relevance[:, place], 0.0, None) if settings.weights == "relevance" else None
        with run.stage("score"):
            found[value] = material.means(own, weights, judge_check=settings.judge_check)
        line, told = own.scores.line, own.scores.reliability
        scale_variances[value] = line.misreading_sd**2 / line.sum_of_squares if line.sum_of_squares > 0 else 0.0
        reliability[value] = {
            "texts": len(chosen),
            "kendall_tau": told.kendall_tau,
            "order_z": told.order_z,
            "discrimination": told.discrimination,
            "misreading_sd": told.misreading_sd,
        }
        if np.isnan(own.scores.score).all():
            missing.setdefault(_NO_ORDER if told.passed is False else "no text could be judged", []).append(value)
        measured[value] = own
        reports.append(own.ranked.report)
        failures.update(own.ranked.failures[~own.ranked.ranked].tolist())
    if not measured:
        raise InputError(_nothing_measured(settings, theory, missing, vidb))
    for reason, values in missing.items():
        _log.warning("%s: %s: %s", theory.name, reason, ", ".join(values))
    table = profiles_table(theory, material.groups, found, scale_variances, settings.normalization)
    tests = int(table["p"].notna().sum())
    figures = {
        "pairs": int(sum(len(own.texts) for own in measured.values())),
        "unrelated": material.unrelated(bears),
        "measured": len(measured) - sum(len(missing.get(reason, ())) for reason in missing if reason in (_NO_ORDER,)),
        "not_measured": missing,
        "tests": tests,
        "differ": int(table["differs"].sum()),
        "judge": reliability,
    }
    return _OfTheory(table, pairs_table(theory, material.texts, relevance, measured), figures, reports, failures)


def _anchors(vidb: Vidb, theory: Theory, value: str) -> Any:
    try:
        return vidb.of(theory, value)
    except InputError:
        return None


def _nothing_measured(
    settings: ProfileSettings, theory: Theory, missing: Mapping[str, Sequence[str]], vidb: Vidb
) -> str:
    if len(missing.get(_NO_ANCHORS, ())) == len(theory.values):
        return f"vidb: {vidb.source} has no anchors of any value of theory '{theory.name}'"
    return (
        f"no text bears on a value of theory '{theory.name}' that has anchors; lower relevance.threshold (now "
        f"{settings.relevance.threshold})"
    )


def _questions(settings: ProfileSettings, material: SaidTexts | SurveyTexts, run: Run) -> Mapping[str, pd.DataFrame]:
    """Return the relevance of a survey's questions by theory, computed as presets do."""
    if not isinstance(material, SurveyTexts):
        return {}
    with run.stage("relevance"):
        return {
            theory.name: questions_table(
                material, compute_relevance(material.items, theory, str(settings.model)).scores
            )
            for theory in settings.theory
        }


def _head(settings: ProfileSettings, material: SaidTexts | SurveyTexts) -> dict[str, Any]:
    """Return what is known before anything is judged."""
    return {
        "task": "profile",
        "source": settings.input or settings.survey or settings.responses,
        "by": material.speaker,
        "answers": settings.answers if settings.survey is not None else None,
        "dry_run": settings.dry_run,
        "read": material.read,
        "left_out": material.left_out,
        "no_opinion": material.no_opinion if isinstance(material, SurveyTexts) else None,
        "groups": len(material.groups),
        "texts": len(material.texts),
        "normalization": settings.normalization.model_dump(),
        "vidb": settings.vidb,
        "settings": {
            **settings.model_dump(
                include={"k", "m", "response_position", "weights", "statements", "judge_check", "on_bad_row"}
            ),
            "sampling": type(settings.sampling).__name__,
        },
    }


def _planned(
    settings: ProfileSettings,
    material: SaidTexts | SurveyTexts,
    vidb: Vidb,
    keys: npt.NDArray[np.uint64],
    wording: _Wording,
) -> Profiles:
    """Return what a run will ask, without asking it."""
    total = wording.cost or Cost(0, 0, 0)
    figures, at_most, pairs = {}, False, 0
    for theory in settings.theory:
        asking = settings.relevance.cost(material.texts.tolist(), theory)
        if asking is None:
            bears = related(
                material.spread(settings.relevance.of(material.texts.tolist(), theory, lambda *_: None)),
                settings.relevance.n,
                settings.relevance.threshold,
            )
        else:
            # Which values these are is not known before the model is asked: any, but no more than n.
            total, at_most = total + asking, True
            bears = np.zeros((len(material.texts), len(theory.values)), dtype=np.bool_)
            bears[:, : settings.relevance.n] = True
        for place, value in enumerate(theory.values):
            chosen, anchors = np.flatnonzero(bears[:, place]), _anchors(vidb, theory, value)
            if anchors is not None and len(chosen):
                criterion = Criterion(theory, value, vidb)
                total += cost_of_value(settings, criterion, anchors, material.texts[chosen], keys[chosen])
        own = int(bears.sum())
        pairs += own
        figures[theory.name] = {
            "pairs": own,
            "unrelated": 0 if at_most else material.unrelated(bears),
            "measured": int(bears.any(axis=0).sum()),
            "not_measured": {},
            "tests": 0,
            "differ": None,
            "judge": {},
        }
    plan = {
        "pairs": pairs,
        "pairs_at_most": at_most,
        "most_calls": total.calls,
        "about_prompt_tokens": total.prompt_tokens,
        "most_completion_tokens": total.completion_tokens,
    }
    summary = {**_head(settings, material), "theories": figures, "plan": plan}
    return Profiles(table=pd.DataFrame(), pairs=pd.DataFrame(), profiles=(), relevance={}, summary=summary)
