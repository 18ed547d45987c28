"""How much a question has to do with a theory's values: read from a file, or computed with a sentence encoder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from valueflow.opinionqa.questions import SurveyQuestion, stem
from valueflow.run import InputError, number_column, read_table, rename_columns, row_number, shorten, text_column
from valueflow.theory import Theory

_BOUND = 1e6
"""Scores are similarities, logits or the like; nothing that reaches this is one."""


def read_relevance(path: Path, items: Sequence[SurveyQuestion]) -> npt.NDArray[np.float64]:
    """Look the relevance of each question up in a CSV file with `question` and `top_score`.

    Questions are compared without the frame that survey files put around them (`Question: ... Options: ...`).

    Returns
    -------
    (N,) array
        One an item.

    Raises
    ------
    InputError
        The file cannot be read, holds no score for a question, or two different ones.
    """
    frame = rename_columns(read_table(path, "opinionqa.relevance"), {}, ["question", "top_score"], str(path))
    scores = number_column(frame, "top_score", str(path), lowest=-_BOUND, highest=_BOUND)
    known: dict[str, float] = {}
    texts = text_column(frame, "question", str(path), "user")
    for place, (text, score) in enumerate(zip(texts, scores, strict=True)):
        question = stem(text)
        if known.setdefault(question, float(score)) != score:
            raise InputError(
                f"{path}, row {row_number(frame, place)}: '{shorten(question)}' had the top_score {known[question]:g} "
                f"before, now {score:g}"
            )
    for index, item in enumerate(items):
        if item.question not in known:
            raise InputError(
                f"{path}: no row for the question '{shorten(item.question)}' (index {index} of the survey)"
            )
    return np.array([known[item.question] for item in items])


def compute_relevance(items: Sequence[SurveyQuestion], theory: Theory, encoder: str) -> npt.NDArray[np.float64]:
    """Return the highest cosine similarity of each question with a definition of the theory's values.

    Parameters
    ----------
    items
        N questions.
    theory
        Its values' labels and definitions are what questions are compared with.
    encoder
        Name or folder of a sentence encoder. It keeps the vectors of large surveys on disk.

    Returns
    -------
    (N,) array
        In [-1, 1].
    """
    # Imported here: a run with a relevance file needs no encoder.
    from valueflow.encoder import load_encoder

    model = load_encoder(encoder)
    nodes = [theory.nodes[value] for value in theory.values]
    definitions = model.encode([f"{node.label}: {node.definition}" for node in nodes])
    questions = model.encode([item.question for item in items])
    return np.asarray((questions @ definitions.T).max(axis=1), dtype=np.float64)
