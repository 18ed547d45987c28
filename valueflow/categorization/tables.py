"""Votes and texts for review as tables."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from valueflow.categorization.descent import NO_WINNER_STOP, Ballot, Descent
from valueflow.categorization.review import STEP
from valueflow.theory import DIRECTIONS, level_columns
from valueflow.voting import ABSTAINED, Votes

VOTE_COLUMNS = ("row", "level", "round", "node", "judge", "vote", "abstention", "shown")


def paths_of(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the path of each row of a table with columns `level_1`, `level_2` and so on."""
    rows = table[level_columns(table)].to_numpy(dtype=str)
    return [tuple(name for name in row if name) for row in rows]


def votes_table(judges: Sequence[str], descent: Descent, rows: Sequence[int]) -> pd.DataFrame:
    """Return every vote of a descent.

    Parameters
    ----------
    judges
        Names of the J judges.
    descent
        Of n texts.
    rows
        Their n rows in the input, from 1.

    Returns
    -------
    pandas.DataFrame
        One row per question and judge: `row`, `level`, `round`, `node` (whose children were asked about, empty at the
        root), `judge`, `vote` (a node's id, or Neutral), `abstention` (why there is no vote), `shown` (the order of the
        options).
    """
    parts = [
        _judged(
            votes,
            judges,
            [ballot.options for ballot in ballots],
            row=[rows[ballot.text] for ballot in ballots],
            level=[ballot.level for ballot in ballots],
            round=[str(ballot.round) for ballot in ballots],
            node=[ballot.parent for ballot in ballots],
        )
        for ballots, votes in descent.polls
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(VOTE_COLUMNS))


def direction_table(
    judges: Sequence[str], votes: Votes, rows: Sequence[int], paths: Sequence[tuple[str, ...]]
) -> pd.DataFrame:
    """Return the votes on directions in the columns of `votes_table`; the round is `direction`, the node the path's."""
    return _judged(
        votes,
        judges,
        [DIRECTIONS] * len(rows),
        row=rows,
        level=[len(path) for path in paths],
        round=["direction"] * len(rows),
        node=[path[-1] for path in paths],
    )


def review_table(texts: pd.DataFrame, descent: Descent, numbers: Mapping[str, int], below: float) -> pd.DataFrame:
    """Return the texts that people should look at: without a winner, or with an agreement below a share.

    Parameters
    ----------
    texts
        The texts of the panel: `row`, `text`, `theory`, levels, `direction`, `stop_reason`, `agreement`.
    descent
        What the panel said.
    numbers
        Of each text its number in the descent.
    below
        The share.

    Returns
    -------
    pandas.DataFrame
        One row a different text, with the votes of the last question and empty columns `decision` and `direction`.
    """
    is_unsure = (texts["stop_reason"] == NO_WINNER_STOP) | (texts["agreement"] < below)
    chosen = texts[is_unsure].drop_duplicates("text")
    said = {
        ballot.text: _worded(ballot, choices)
        for ballots, votes in descent.polls
        for ballot, choices in zip(ballots, votes.choices.tolist(), strict=True)
    }
    return pd.DataFrame(
        {
            "row": chosen["row"],
            "text": chosen["text"],
            "path": [STEP.join(path) for path in paths_of(chosen)],
            "stop_reason": chosen["stop_reason"],
            "agreement": chosen["agreement"],
            "last_votes": [said[numbers[text]] for text in chosen["text"]],
            "voted_direction": chosen["direction"],
            "decision": "",
            # Empty, too: the panel's was about the node that it chose, and a person may choose another.
            "direction": "",
        }
    ).reset_index(drop=True)


def _judged(
    votes: Votes, judges: Sequence[str], options: Sequence[tuple[str, ...]], **of_ballots: Sequence[object]
) -> pd.DataFrame:
    """Lay votes out in rows, one a ballot and judge."""
    chosen = [
        "" if choice == ABSTAINED else own[choice]
        for own, choices in zip(options, votes.choices.tolist(), strict=True)
        for choice in choices
    ]
    return pd.DataFrame(
        {
            **{key: np.repeat(np.array(column, dtype=object), len(judges)) for key, column in of_ballots.items()},
            "judge": np.tile(np.array(judges, dtype=object), len(options)),
            "vote": chosen,
            "abstention": votes.reasons.ravel(),
            "shown": votes.orders.ravel(),
        }
    )


def _worded(ballot: Ballot, choices: Sequence[int]) -> str:
    """Word the votes of a question: `security 3, power 2, (abstained) 2`."""
    named = Counter("(abstained)" if choice == ABSTAINED else ballot.options[choice] for choice in choices)
    return ", ".join(f"{name} {count}" for name, count in sorted(named.items(), key=lambda pair: (-pair[1], pair[0])))
