"""Rankings as a table: one row a window, with all that is needed to score it again."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.judge import Rankings, Windows
from valueflow.run.errors import InputError, shorten
from valueflow.run.tables import number_column, read_table, rename_columns, text_column
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY


@dataclass(frozen=True)
class RankedWindows:
    """What an estimator needs to know of windows.

    Attributes
    ----------
    responses
        (W,) row of the response.
    orders
        (W, K) item numbers, most supportive first; zeros in failed windows.
    intensities
        (W, K-1) intensities of the anchors.
    failures
        (W,) why a window failed; empty where it did not.
    """

    responses: npt.NDArray[np.int64]
    orders: npt.NDArray[np.int64]
    intensities: npt.NDArray[np.float64]
    failures: npt.NDArray[np.object_]

    @property
    def ranked(self) -> npt.NDArray[np.bool_]:
        """(W,) whether each window has a ranking."""
        return np.asarray(self.failures == "", dtype=np.bool_)


def rankings_table(windows: Windows, rankings: Rankings, rows: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Lay windows and their rankings out as the table of the file contract.

    Parameters
    ----------
    windows, rankings
        What was asked and what was answered.
    rows
        (N,) row of each response in the scores table.
    """
    table = {
        "row_idx": rows[windows.responses],
        "target_text": windows.response_texts[windows.responses],
        "ranking": np.where(rankings.ranked, _json_rows(rankings.orders), ""),
    }
    for column, anchors in enumerate(windows.anchors.T, start=1):
        table[f"db_text_{column}"] = windows.anchor_set.texts[anchors]
        table[f"db_score_{column}"] = windows.anchor_set.intensities[anchors]
    table["prompt_order"] = _json_rows(windows.prompt_order)
    table["failure"] = rankings.failures
    frame = pd.DataFrame(table)
    return frame.sort_values("row_idx", kind="stable", ignore_index=True)


def ranked_windows(table: pd.DataFrame, where: str) -> RankedWindows:
    """Check a table of rankings and turn it into arrays.

    Parameters
    ----------
    table
        The columns of the contract, of our files or of published ones (which lack `prompt_order`
        and `failure`), other columns beside them.
    where
        The file, for messages.

    Raises
    ------
    InputError
        A column is missing, a ranking is no permutation, a score or row number is out of range.
    """
    table = rename_columns(table, {}, ["row_idx", "target_text", "ranking", "db_text_1", "db_score_1"], where)
    k = 2
    while f"db_score_{k}" in table:
        k += 1
    numbers = number_column(table, "row_idx", where, lowest=0, highest=np.iinfo(np.int64).max // 2)
    if not np.array_equal(numbers, np.floor(numbers)):
        row = int(np.flatnonzero(numbers != np.floor(numbers))[0])
        raise InputError(f"{where}, row {row + 1}, column 'row_idx': {numbers[row]} is not a whole number")
    intensities = np.column_stack(
        [
            number_column(table, f"db_score_{column}", where, lowest=LOWEST_INTENSITY, highest=HIGHEST_INTENSITY)
            for column in range(1, k)
        ]
    )
    failures = np.full(len(table), "", dtype=object)
    if "failure" in table:
        failures = table["failure"].fillna("").astype(str).to_numpy(dtype=object)
    return RankedWindows(
        responses=numbers.astype(np.int64),
        orders=_parse_orders(table["ranking"], failures, k, where),
        intensities=intensities,
        failures=failures,
    )


def read_rankings(path: Path) -> pd.DataFrame:
    """Read a rankings file; errors as in `read_table`."""
    return read_table(path, "rankings")


def responses_of(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Rebuild the table of responses that a rankings table was made from, as far as it tells.

    Raises
    ------
    InputError
        Two texts stand under one `row_idx`, or a row number below the highest has none.
    """
    table = rename_columns(table, {}, ["row_idx", "target_text"], where)
    rows = number_column(table, "row_idx", where, lowest=0, highest=len(table)).astype(np.int64)
    pairs = pd.DataFrame({"row": rows, "response": text_column(table, "target_text", where)}).drop_duplicates()
    repeated = pairs["row"].duplicated()
    if repeated.any():
        raise InputError(f"{where}: row_idx {pairs['row'][repeated].iloc[0]} stands for two different target_texts")
    pairs = pairs.sort_values("row")
    if len(pairs) != pairs["row"].max() + 1:
        gap = int(np.flatnonzero(pairs["row"].to_numpy() != np.arange(len(pairs)))[0])
        raise InputError(f"{where}: row_idx {gap} has no ranking; give the responses file too (responses=FILE)")
    return pd.DataFrame({"query": "", "dataset": "", "response": pairs["response"].to_numpy(dtype=object)})


def check_targets(table: pd.DataFrame, responses: npt.NDArray[np.object_], where: str) -> None:
    """Check that each row's `target_text` is the response its `row_idx` points to.

    Raises
    ------
    InputError
        One is not: the rankings belong to other responses, or to the same ones in another order.
    """
    rows = pd.to_numeric(table["row_idx"]).to_numpy(dtype=np.int64)
    if rows.max() >= len(responses):
        row = int(np.flatnonzero(rows >= len(responses))[0])
        raise InputError(
            f"{where}, row {row + 1}: row_idx {rows[row]} is beyond the {len(responses)} responses; "
            "give the responses these rankings were made from"
        )
    differs = table["target_text"].astype(str).to_numpy(dtype=object) != responses[rows]
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        raise InputError(
            f"{where}, row {row + 1}: target_text '{shorten(str(table['target_text'].iloc[row]))}' is not response "
            f"{rows[row]} ('{shorten(str(responses[rows[row]]))}'); give the responses these rankings were made from"
        )


def _json_rows(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
    """Write each row as a JSON list, each distinct one once: there are far fewer orders than windows."""
    distinct, inverse = np.unique(rows, axis=0, return_inverse=True)
    written = np.array([json.dumps(row) for row in distinct.tolist()], dtype=object)
    return written[inverse.ravel()]


def _parse_orders(column: pd.Series, failures: npt.NDArray[np.object_], k: int, where: str) -> npt.NDArray[np.int64]:
    codes, distinct = pd.factorize(column.fillna("").astype(str).where(failures == "", ""))
    parsed = np.zeros((len(distinct), k), dtype=np.int64)
    faulty = np.zeros(len(distinct), dtype=bool)
    for index, text in enumerate(distinct):
        order = _permutation(str(text), k)
        if order is None:
            faulty[index] = True
        else:
            parsed[index] = order
    bad = np.flatnonzero(faulty[codes] & (failures == ""))
    if len(bad):
        found = shorten(str(column.iloc[bad[0]]))
        raise InputError(
            f"{where}, row {bad[0] + 1}, column 'ranking': '{found}' is no permutation of the item numbers 1 to {k}"
        )
    return parsed[codes]


def _permutation(text: str, k: int) -> list[int] | None:
    try:
        order = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not (isinstance(order, list) and all(type(item) is int for item in order)):
        return None
    return order if sorted(order) == list(range(1, k + 1)) else None
