"""Surveys: whose answers they hold, the statements these come to, and the means of the groups."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.evaluation import BOUNDS
from valueflow.opinionqa import DETAILS_FILE, SurveyQuestion, load_questions, says_no_opinion
from valueflow.profiling.differences import GroupEstimate
from valueflow.profiling.estimates import GroupMean
from valueflow.profiling.expectations import expected_intensity, mean_expectation
from valueflow.profiling.measuring import MeasuredValue
from valueflow.run import InputError, read_table, rename_columns, row_number, shorten, text_column

Answers = Literal["gold", "default", "profile"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SurveyTexts:
    """Questions that groups answered, and a statement for each option.

    Attributes
    ----------
    items
        N answered questions, one group each.
    texts
        (T,) statements, no two equal.
    groups
        Names of the G groups, sorted.
    group, question
        (N,) of each item: numbers of its group and of its question.
    statement
        (N, O) numbers of the statements of its options; -1 for an option without one, and beyond its options.
    shares
        (N, O) of the options; 0 beyond them.
    no_opinion
        Share of all answers that say no opinion, which do not count.
    left_out
        Items without a distribution.
    """

    items: Sequence[SurveyQuestion]
    texts: npt.NDArray[np.object_]
    groups: tuple[str, ...]
    group: IntArray
    question: IntArray
    statement: IntArray
    shares: FloatArray
    no_opinion: float
    left_out: int
    speaker: str = "group"

    @property
    def read(self) -> int:
        """Items of the source."""
        return len(self.items) + self.left_out

    def spread(self, relevance: FloatArray) -> FloatArray:
        """Return the relevance (T, V) of statements to values as it counts: the mean over a question's statements.

        So all options of a question are measured on the same values, and an expectation is one over all its answers.
        A statement of several questions has the highest.
        """
        first = np.unique(self.question, return_index=True)[1]
        result = np.full(relevance.shape, np.nan)
        for own in self.statement[first]:
            numbers = own[own >= 0]
            if len(numbers):
                known = relevance[numbers]
                mean = np.where(np.isnan(known).all(axis=0), np.nan, np.nansum(known, axis=0))
                mean /= np.maximum((~np.isnan(known)).sum(axis=0), 1)
                result[numbers] = np.fmax(result[numbers], mean)
        return result

    def sizes(self) -> IntArray:
        """Return the number of questions of each group, (G,)."""
        return np.bincount(self.group, minlength=len(self.groups))

    def unrelated(self, related: npt.NDArray[np.bool_]) -> int:
        """Return how many items bear on no value, given which statements bear on which (T, V)."""
        bears = np.append(related.any(axis=1), False)
        return int((~bears[self.statement].any(axis=1)).sum())

    def means(self, measured: MeasuredValue, weights: FloatArray | None, *, judge_check: bool) -> list[GroupMean]:
        """Return the mean of each group on a value; `weights` (T,) say how much each statement's question counts.

        `judge_check` has had its effect on the scores already.
        """
        del judge_check
        scores = np.full(len(self.texts) + 1, np.nan)
        scores[measured.texts] = measured.scores.score
        expected = expected_intensity(self.shares, scores[self.statement])
        own_weights = np.ones(len(self.items))
        if weights is not None:
            own_weights = np.nan_to_num(np.append(weights, np.nan)[self.statement]).max(axis=1)
        line = measured.scores.line
        result = []
        for number in range(len(self.groups)):
            rows = np.flatnonzero(self.group == number)
            found = mean_expectation(expected[rows], self.question[rows], own_weights[rows])
            anchors = line.variance_at(found.mean) if found.questions else float("nan")
            ratio = np.sqrt(1 + anchors / found.se**2) if found.se > 0 else 1.0
            estimate = GroupEstimate(found.mean, found.influence, self.question[rows])
            low, high = np.clip(found.mean + np.array([-1, 1]) * found.half_width * ratio, *BOUNDS).tolist()
            n = int((~np.isnan(found.influence)).sum())
            result.append(GroupMean(found.mean, found.se * ratio, low, high, n, found.questions, estimate))
        return result


def read_survey(source: str, answers: Answers) -> list[SurveyQuestion]:
    """Read who answered what: a question file, or the table of details that `steer.py preset=...` leaves.

    Parameters
    ----------
    source
        JSON file or `demo`, as `load_questions` takes it; a folder with `details.csv`, or such a file.
    answers
        Whose answers: the groups' own (gold), or of the model with the default prompt or the profile, which only a
        table of details has.

    Raises
    ------
    InputError
        The source cannot be read or holds no such answers.
    """
    path = Path(source) / DETAILS_FILE if os.path.isdir(source) else Path(source)
    if os.path.isdir(source) and not path.is_file():
        raise InputError(
            f"survey: the folder {source} holds no {DETAILS_FILE}; give one of a run of steer.py preset=..."
        )
    if path.suffix.lower() not in (".csv", ".parquet"):
        if answers != "gold":
            raise InputError(
                f"answers={answers}: {source} holds the groups' own answers alone; give the folder of a run of "
                "steer.py preset=..., or answers=gold"
            )
        return load_questions(source, None, "survey")
    column = f"{answers}_distribution"
    where = f"survey: {path}"
    frame = rename_columns(read_table(path, "survey"), {}, ["attribute", "question", "options", column], where)
    texts = {name: text_column(frame, name, where, "user") for name in ("attribute", "question", "options")}
    rows = zip(texts["attribute"], texts["question"], texts["options"], frame[column].tolist(), strict=True)
    items = []
    for place, (attribute, question, listed, cell) in enumerate(rows):
        row = f"{where}, row {row_number(frame, place)}"
        options = _options(listed, f"{row}, column 'options'")
        shares = _shares(cell, len(options), f"{row}, column '{column}'")
        items.append(SurveyQuestion(question, options, attribute, shares))
    return items


def survey_texts(
    items: Sequence[SurveyQuestion], word: Callable[[Sequence[tuple[str, str]]], Sequence[str]]
) -> SurveyTexts:
    """Lay a survey out as statements and arrays.

    Parameters
    ----------
    items
        As `read_survey` gives them; those without a distribution are left out and counted.
    word
        Turns answers (question, option) into statements.

    Raises
    ------
    InputError
        No item has a distribution.
    """
    kept = [item for item in items if any(item.gold)]
    if not kept:
        raise InputError("survey: none of the questions has a distribution of answers")
    numbers: dict[tuple[str, tuple[str, ...]], int] = {}
    question = np.array([numbers.setdefault((item.question, item.options), len(numbers)) for item in kept])
    widest = max(len(item.options) for item in kept)
    answers = list(
        dict.fromkeys((text, option) for text, options in numbers for option in options if not says_no_opinion(option))
    )
    worded = np.array([*word(answers), None], dtype=object)[:-1]
    texts, number = np.unique(worded, return_inverse=True)
    of_answer = dict(zip(answers, number.tolist(), strict=True))
    statement = np.full((len(kept), widest), -1, dtype=np.int64)
    shares = np.zeros((len(kept), widest))
    for row, item in enumerate(kept):
        shares[row, : len(item.options)] = item.gold
        statement[row, : len(item.options)] = [of_answer.get((item.question, option), -1) for option in item.options]
    names, group = np.unique(np.array([item.attribute for item in kept], dtype=object), return_inverse=True)
    return SurveyTexts(
        items=kept,
        texts=texts,
        groups=tuple(names.tolist()),
        group=group,
        question=question,
        statement=statement,
        shares=shares,
        no_opinion=float(shares[statement < 0].sum() / shares.sum()),
        left_out=len(items) - len(kept),
    )


def _options(cell: str, where: str) -> tuple[str, ...]:
    try:
        entries = json.loads(cell)
    except (ValueError, RecursionError):
        entries = None
    if not (isinstance(entries, list) and entries and all(isinstance(entry, str) for entry in entries)):
        raise InputError(f"{where}: '{shorten(cell)}' is no JSON list of texts")
    return tuple(entries)


def _shares(cell: object, n_options: int, where: str) -> tuple[float, ...]:
    """Return a distribution; zeros where the cell is empty."""
    if cell is None or cell != cell or not str(cell).strip():
        return (0.0,) * n_options
    try:
        entries = json.loads(str(cell))
        shares = np.array(entries, dtype=np.float64)
    except (ValueError, TypeError, RecursionError):
        shares = np.full(n_options, np.nan)
    if shares.shape != (n_options,):
        raise InputError(f"{where}: {len(np.atleast_1d(shares))} entries for {n_options} options; give one each")
    if not ((shares >= 0).all() and np.isfinite(shares).all() and shares.sum() > 0):
        raise InputError(f"{where}: '{shorten(str(cell))}' is no distribution of numbers, none negative")
    return tuple((shares / shares.sum()).tolist())


def questions_table(survey: SurveyTexts, relevance: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Return the relevance (N,) of each different question, as presets read it."""
    table = pd.DataFrame({"question": [item.question for item in survey.items], "top_score": relevance})
    return table.drop_duplicates("question", ignore_index=True)
