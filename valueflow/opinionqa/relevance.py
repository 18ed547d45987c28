"""How much a question has to do with a theory's values, and which questions a profile is used for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from valueflow.opinionqa.questions import SurveyQuestion, framed, identity
from valueflow.opinionqa.settings import OpinionQASettings
from valueflow.run import InputError, number_column, read_table, rename_columns, row_number, shorten, text_column
from valueflow.theory import Theory

_BOUND = 1e6
"""Scores are similarities, logits or the like; nothing that reaches this is one."""

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Relevance:
    """The relevance of N items.

    Attributes
    ----------
    scores
        (N,) NaN where there is none: then the default prompt is used.
    source
        Where they come from.
    is_computed
        Whether they lie on a scale of our own, on which a published threshold says nothing.
    missing
        Items without a score, by reason.
    """

    scores: FloatArray
    source: str
    is_computed: bool
    missing: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Used:
    """Which of N items the profile is used for, (N,), by which rule, and from which relevance on."""

    items: BoolArray
    rule: str
    from_relevance: float


def used_items(relevance: Relevance, items: Sequence[SurveyQuestion], settings: OpinionQASettings) -> Used:
    """Choose the items that are asked with the profile.

    Those from a threshold on; where the scores are computed and the threshold is the published one, the most relevant
    share of the different questions, with all that tie with the last of them.
    """
    is_own = settings.threshold != settings.published_threshold
    if not relevance.is_computed or is_own or settings.relevance_share is None:
        return Used(relevance.scores >= settings.threshold, "threshold", settings.threshold)
    each = {(item.question, item.options): score for item, score in zip(items, relevance.scores, strict=True)}
    scores = np.sort([score for score in each.values() if not math.isnan(score)])[::-1]
    wanted = math.ceil(settings.relevance_share * len(each) - 1e-9)
    lowest = float(scores[min(wanted, len(scores)) - 1]) if len(scores) else math.inf
    return Used(relevance.scores >= lowest, "share", lowest)


def read_relevance(path: Path, items: Sequence[SurveyQuestion]) -> Relevance:
    """Look the relevance of each question up in a CSV file with `question` and `top_score`.

    Questions are compared with their options, where the file has them, as `Question: ... Options: A. ... Answer:` on
    one line or several; blanks make no difference. A row without options is about every question of its words.

    Raises
    ------
    InputError
        The file cannot be read, a score is no number, or a question has two different ones.
    """
    frame = rename_columns(read_table(path, "opinionqa.relevance"), {}, ["question", "top_score"], str(path))
    column = frame["top_score"]
    is_blank = (column.isna() | column.astype(str).str.strip().str.casefold().isin(["", "nan"])).to_numpy()
    filled = frame.assign(top_score=column.where(~is_blank, 0.0))
    scores = number_column(filled, "top_score", str(path), lowest=-_BOUND, highest=_BOUND)
    known: dict[str, float] = {}
    texts = text_column(frame, "question", str(path), "user")
    for place, (text, score, blank) in enumerate(zip(texts, scores, is_blank, strict=True)):
        question = identity(text)
        if blank:
            known.setdefault(question, math.nan)
            continue
        earlier = known.get(question, math.nan)
        if not math.isnan(earlier) and earlier != score:
            raise InputError(
                f"{path}, row {row_number(frame, place)}: '{shorten(question)}' had the top_score {earlier:g} "
                f"before, now {score:g}"
            )
        known[question] = float(score)
    found = [known.get(framed(item.question, item.options), known.get(framed(item.question, ()))) for item in items]
    missing = {
        "no row": sum(score is None for score in found),
        "no score": sum(score is not None and math.isnan(score) for score in found),
    }
    numbers = np.array([math.nan if score is None else score for score in found], dtype=np.float64)
    return Relevance(numbers, str(path), False, {reason: count for reason, count in missing.items() if count})


def compute_relevance(items: Sequence[SurveyQuestion], theory: Theory, encoder: str) -> Relevance:
    """Return the highest cosine similarity of each question with a definition of the theory's values.

    Parameters
    ----------
    items
        N questions. Those that share their words and differ in their options are compared with their options.
    theory
        Its values' labels and definitions are what questions are compared with.
    encoder
        Name or folder of a sentence encoder. It keeps the vectors of large surveys on disk.

    Returns
    -------
    Relevance
        Scores in [-1, 1].
    """
    # Imported here: a run with a relevance file needs no encoder.
    from valueflow.encoder import load_encoder

    model = load_encoder(encoder)
    nodes = [theory.nodes[value] for value in theory.values]
    definitions = model.encode([f"{node.label}: {node.definition}" for node in nodes])
    questions = model.encode(told_apart(items))
    scores = np.asarray((questions @ definitions.T).max(axis=1), dtype=np.float64)
    return Relevance(scores, f"computed with encoder {encoder}", True)


def told_apart(items: Sequence[SurveyQuestion]) -> list[str]:
    """Return the words of N questions, followed by their options where others have the same words and other options."""
    options: dict[str, set[tuple[str, ...]]] = {}
    for item in items:
        options.setdefault(item.question, set()).add(item.options)
    return [
        item.question if len(options[item.question]) == 1 else f"{item.question} {' / '.join(item.options)}"
        for item in items
    ]
