"""Texts, a theory and a panel in; a training table, all votes and a list for people to look at out."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.categorization.counts import judge_counts, kappas, node_counts
from valueflow.categorization.descent import LEAF, NEUTRAL_STOP, NO_WINNER_STOP, Descent, descend
from valueflow.categorization.display import show_categorization, show_categorizations
from valueflow.categorization.outcome import (
    PICTURE_FILE,
    REVIEW_FILE,
    TABLE_FILE,
    UNPLACED_FILE,
    VOTES_FILE,
    Categorization,
)
from valueflow.categorization.questions import Questions
from valueflow.categorization.review import Decision, read_decisions
from valueflow.categorization.settings import CategorizationSettings
from valueflow.categorization.tables import direction_table, paths_of, review_table, votes_table
from valueflow.llm import cache_state
from valueflow.run import (
    InputError,
    Run,
    SweepView,
    Task,
    read_table,
    rename_columns,
    row_keys,
    row_number,
    text_column,
)
from valueflow.theory import DIRECTIONS, NEUTRAL, SUPPORT, Theory, columns_of_paths
from valueflow.voting import NO_WINNER, count_votes, winners

_PUBLISHED_COLUMN = "value"
"""What the published code calls the column of texts."""

_log = logging.getLogger(__name__)

_BY_PANEL, _BY_PEOPLE = "panel", "people"
_UNPLACED = ("row", "text", "stop_reason", "agreement", "decided_by")


def categorize(*, output_dir: str | Path | None = None, **settings: Any) -> Categorization:
    """Have a panel of language models place texts in a theory's hierarchy, by votes from the top down.

    Parameters
    ----------
    output_dir
        Folder for the tables, the picture and `summary.json`; None writes nothing.
    **settings
        Fields of `CategorizationSettings`, the same as on the command line; what is not given has the default of
        `configs/categorize.yaml`. `theory`, `panel` and `llm` take the name of an option, and also an object; a dotted
        key (`panel.votes`) sets one of an option's own.

    Returns
    -------
    Categorization
        Its `table` is a training table of `train`.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.

    Examples
    --------
    >>> placed = categorize(theory="pvq", input="texts.csv", panel="embedded")  # doctest: +SKIP
    >>> placed.table["level_1"]  # doctest: +SKIP
    """
    return TASK.call(settings, output_dir)


def _categorize(settings: CategorizationSettings, run: Run) -> Categorization:
    theory, panel = settings.theory, settings.panel
    with run.stage("load"):
        given, in_file = _read_texts(settings, run)
        decided: dict[str, Decision] = {}
        undecided = 0
        if settings.reviewed is not None:
            decided, undecided = read_decisions(settings.reviewed, theory, given.tolist(), in_file.tolist())
        own = run.share.take(row_keys(pd.DataFrame({"text": given}), settings.seed))
        given, in_file = given[own], in_file[own]
        # Equal texts meet equal questions, so each different one is asked about once.
        places, texts = pd.factorize(given)
        rows = in_file[np.unique(places, return_index=True)[1]]
    questions = Questions(settings, texts)
    with run.stage("vote"):
        numbers = np.flatnonzero([text not in decided for text in texts])
        descent = descend(theory, len(numbers), lambda ballots: questions.place(ballots, numbers), panel.rule)
    placed = _placed(texts, decided, numbers, descent, theory)
    judges = [member.name for member in panel.members]
    votes = votes_table(judges, descent, rows[numbers].tolist())
    directions = np.array([decision.direction for decision in placed.decisions], dtype=object)
    left = np.flatnonzero([bool(decision.path) and not decision.direction for decision in placed.decisions])
    paths = [decision.path for decision in placed.decisions]
    undirected = 0
    if settings.direction and left.size:
        with run.stage("direction"):
            said = questions.direct(left, [paths[text][-1] for text in left])
        won = winners(count_votes(said.choices, len(DIRECTIONS)), panel.rule)
        undirected = int((won == NO_WINNER).sum())
        directions[left] = np.where(won == NO_WINNER, NEUTRAL, np.array(DIRECTIONS, dtype=object)[won])
        more = direction_table(judges, said, rows[left].tolist(), [paths[text] for text in left])
        votes = pd.concat([votes, more], ignore_index=True)
    else:
        directions[left] = SUPPORT
    every = pd.DataFrame(
        {
            "row": in_file,
            "text": given,
            "theory": theory.name,
            **columns_of_paths([paths[number] for number in places], theory.depth),
            "direction": directions[places],
            "stop_reason": placed.stops[places],
            "agreement": placed.agreement[places],
            "decided_by": placed.decided_by[places],
        }
    )
    has_place = every["level_1"] != ""
    by_panel = every[every["decided_by"] == _BY_PANEL]
    of_descent = {text: number for number, text in enumerate(texts[numbers])}
    review = review_table(by_panel, descent, of_descent, settings.review_below)
    summary = {
        "task": "categorization",
        "theory": theory.name,
        "texts": len(given),
        "repeated": len(given) - len(texts),
        "placed": int(has_place.sum()),
        "unplaced": int((~has_place).sum()),
        "to_review": len(review),
        "stop_reasons": {
            reason: int((every["stop_reason"] == reason).sum()) for reason in (LEAF, NEUTRAL_STOP, NO_WINNER_STOP)
        },
        "directions": {name: int((every.loc[has_place, "direction"] == name).sum()) for name in DIRECTIONS},
        "undirected": undirected,
        "reviewed": len(every) - len(by_panel),
        "review_undecided": undecided,
        "agreement": float(by_panel["agreement"].mean()) if len(by_panel) else None,
        "kappa": kappas(theory, descent),
        "second_rounds": sum(ballot.round == 2 for ballots, _ in descent.polls for ballot in ballots),
        "texts_truncated": questions.truncated,
        "judges": judge_counts(questions.polling),
        "nodes": node_counts(theory, paths_of(every[has_place])),
        "panel": panel.describe(),
        "asking": {**questions.polling.usage.as_dict(), "cache": cache_state(settings.cache)},
        "settings": settings.model_dump(
            include={"direction", "review_below", "wording", "max_tokens", "max_text_bytes", "limit", "reviewed"}
        ),
    }
    return Categorization(
        table=every[has_place].drop(columns="row").reset_index(drop=True),
        unplaced=every.loc[~has_place, list(_UNPLACED)].reset_index(drop=True),
        review=review,
        votes=votes,
        summary=summary,
        theory=theory,
    )


@dataclass(frozen=True)
class _Placed:
    """Of each different text: its place, why it stands there, and who says so."""

    decisions: list[Decision]
    stops: npt.NDArray[np.object_]
    agreement: npt.NDArray[np.float64]
    decided_by: npt.NDArray[np.object_]


def _read_texts(settings: CategorizationSettings, run: Run) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
    """Return the texts, and the number of each one's row in the file."""
    source = settings.input
    where = "input" if isinstance(source, pd.DataFrame) else f"input: {source}"
    frame = source if isinstance(source, pd.DataFrame) else read_table(source, "input")
    columns = settings.input_columns
    if columns.get("text", "text") == "text" and "text" not in frame and _PUBLISHED_COLUMN in frame:
        _log.warning("%s: there is no column 'text'; the column '%s' is taken", where, _PUBLISHED_COLUMN)
        columns = {**columns, "text": _PUBLISHED_COLUMN}
    frame = rename_columns(frame, columns, ("text",), where).iloc[: settings.limit]
    frame = run.bad_rows.left(frame, where, texts=["text"], prose={"text": "assistant"})
    if frame.empty and run.bad_rows.skipped:
        raise InputError(f"{where}: no row has a text")
    rows = np.array([row_number(frame, place) for place in range(len(frame))], dtype=np.int64)
    return text_column(frame, "text", where), rows


def _placed(
    texts: npt.NDArray[np.object_],
    decided: Mapping[str, Decision],
    numbers: npt.NDArray[np.intp],
    descent: Descent,
    theory: Theory,
) -> _Placed:
    by_people = [decided.get(text, Decision((), "")) for text in texts]
    stops = np.array(
        [LEAF if one.path and not theory.children(one.path[-1]) else NEUTRAL_STOP for one in by_people], dtype=object
    )
    agreement = np.full(len(texts), np.nan)
    decided_by = np.full(len(texts), _BY_PEOPLE, dtype=object)
    decisions = list(by_people)
    for number, path in zip(numbers.tolist(), descent.paths, strict=True):
        decisions[number] = Decision(path, "")
    stops[numbers], agreement[numbers], decided_by[numbers] = descent.stops, descent.agreement, _BY_PANEL
    return _Placed(decisions, stops, agreement, decided_by)


TASK = Task(
    name="categorize",
    settings=CategorizationSettings,
    run=_categorize,
    outputs=(TABLE_FILE, VOTES_FILE, REVIEW_FILE, UNPLACED_FILE, PICTURE_FILE),
    sweep=(SweepView(show_categorizations, ("theory",), one=show_categorization),),
    divides=True,
)
