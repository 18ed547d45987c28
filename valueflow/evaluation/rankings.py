"""Rankings as a table: one row per window and judge, with all that is needed to score it again."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.judge import RankedWindows, Windows, plain_lines
from valueflow.run import (
    BadRows,
    InputError,
    number_column,
    plain,
    read_table,
    rename_columns,
    row_number,
    shorten,
    text_column,
)
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY


def rankings_table(windows: Windows, ranked: RankedWindows) -> pd.DataFrame:
    """Lay out rankings of windows as the table of the file contract.

    Returns
    -------
    pandas.DataFrame
        One row per ranking, sorted by response, window and judge. The column `judge` names the judges of a panel.
    """
    # Sorted before the texts are gathered: each window's long texts appear once per judge.
    ranked = ranked[np.lexsort((ranked.judges, ranked.windows, ranked.responses))]
    table = {
        "row_idx": ranked.responses,
        "target_text": windows.response_texts[ranked.responses],
        "ranking": np.where(ranked.ranked, _json_rows(ranked.orders), ""),
    }
    for column, anchors in enumerate(windows.anchors[ranked.windows].T, start=1):
        table[f"db_text_{column}"] = windows.anchor_set.texts[anchors]
        table[f"db_score_{column}"] = windows.anchor_set.intensities[anchors]
        if windows.anchor_set.errors is not None:
            table[f"db_se_{column}"] = windows.anchor_set.errors[anchors]
    table["prompt_order"] = _json_rows(windows.prompt_order)[ranked.windows]
    table["failure"] = ranked.failures
    if len(ranked.judge_names) > 1:
        table["judge"] = np.array(ranked.judge_names, dtype=object)[ranked.judges]
    return pd.DataFrame(table)


def ranked_windows(table: pd.DataFrame, where: str) -> RankedWindows:
    """Check a table of rankings, and return it as arrays.

    Parameters
    ----------
    table
        The columns of the contract, of our files or of published ones (which lack `prompt_order`
        and `failure`), other columns beside them. A column `judge` names the judges of a panel;
        rows with the same response, anchors and prompt order are rankings of one window.
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
        raise InputError(
            f"{where}, row {row_number(table, row)}, column 'row_idx': {numbers[row]} is not a whole number"
        )
    intensities = np.column_stack(
        [
            number_column(table, f"db_score_{column}", where, lowest=LOWEST_INTENSITY, highest=HIGHEST_INTENSITY)
            for column in range(1, k)
        ]
    )
    failures = np.full(len(table), "", dtype=object)
    if "failure" in table:
        failures = plain_lines(table["failure"].fillna("").astype(str).to_numpy(dtype=object))
    orders = _parse_orders(table, failures, k, where)
    responses = numbers.astype(np.int64)
    ranked = RankedWindows.of(responses, orders, intensities, failures)
    if "judge" in table:
        judges, names = pd.factorize(text_column(table, "judge", where))
        windows = _window_numbers(table, k, responses, judges)
        ranked = replace(ranked, windows=windows, judges=judges, judge_names=tuple(plain_lines(names)))
    return replace(
        ranked,
        anchors=_anchor_numbers(table, intensities, where),
        errors=_errors(table, k, where),
        prompt_order=_prompt_orders(table, k, where),
    )


def _anchor_numbers(table: pd.DataFrame, intensities: npt.NDArray[np.float64], where: str) -> npt.NDArray[np.int64]:
    """Return the number of each anchor, (R, K-1): texts with their intensity count from 0 in ascending order."""
    k = intensities.shape[1] + 1
    columns = [f"db_text_{column}" for column in range(1, k)]
    known = [column for column in columns if column in table]
    texts = np.concatenate([table[column].fillna("").astype(str).to_numpy(dtype=object) for column in known])
    if len(known) < len(columns):
        raise InputError(f"{where}: column '{next(c for c in columns if c not in table)}' is missing")
    pairs = pd.DataFrame({"rating": intensities.T.ravel(), "text": texts})
    distinct = pairs.drop_duplicates().sort_values(["rating", "text"], kind="stable", ignore_index=True)
    numbers = pairs.merge(distinct.reset_index(), on=["rating", "text"], how="left")["index"].to_numpy(dtype=np.int64)
    return np.ascontiguousarray(numbers.reshape(k - 1, -1).T)


def _errors(table: pd.DataFrame, k: int, where: str) -> npt.NDArray[np.float64] | None:
    """Return the standard errors of the anchors' intensities, (R, K-1); None where the table has none."""
    columns = [f"db_se_{column}" for column in range(1, k)]
    if not all(column in table for column in columns):
        return None
    span = HIGHEST_INTENSITY - LOWEST_INTENSITY
    blank = table[columns].isna() | (table[columns].astype(str).apply(lambda cells: cells.str.strip()) == "")
    filled = table[columns].where(~blank, 0.0)
    errors = [number_column(filled, column, where, lowest=0.0, highest=span) for column in columns]
    return np.where(blank.to_numpy(), np.nan, np.column_stack(errors))


def _prompt_orders(table: pd.DataFrame, k: int, where: str) -> npt.NDArray[np.int64] | None:
    """Return the orders in which prompts showed items, (R, K); None where the table does not say so for each row."""
    if "prompt_order" not in table:
        return None
    codes, distinct = pd.factorize(_written(table["prompt_order"]))
    orders = [_permutation(str(text), k) for text in distinct]
    broken = [order is None and text != "" for order, text in zip(orders, distinct, strict=True)]
    if any(broken):
        row = int(np.flatnonzero(np.array(broken)[codes])[0])
        found = shorten(str(table["prompt_order"].iloc[row]))
        raise InputError(
            f"{where}, row {row_number(table, row)}, column 'prompt_order': '{found}' is no permutation of the item "
            f"numbers 1 to {k}"
        )
    known = [order for order in orders if order is not None]
    return np.array(known, dtype=np.int64)[codes] if len(known) == len(orders) and known else None


def read_rankings(source: str | Path, bad_rows: BadRows | None = None) -> pd.DataFrame:
    """Read a rankings file, but for rows that are skipped; errors as in `read_table`."""
    table = read_table(source, "rankings")
    scores = [name for name in map(str, table.columns) if re.fullmatch(r"db_score_\d+", name)]
    limits = dict.fromkeys(scores, (LOWEST_INTENSITY, HIGHEST_INTENSITY))
    texts = [name for name in ("target_text",) if name in table]
    prose: dict[str, Literal["assistant"]] = dict.fromkeys(texts, "assistant")
    return (bad_rows or BadRows()).left(table, str(source), texts=texts, prose=prose, numbers=limits)


def responses_of(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Rebuild the table of responses that a rankings table was made from.

    Raises
    ------
    InputError
        Two texts have the same `row_idx`, or a row number below the highest has none.
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
            f"{where}, row {row_number(table, row)}: row_idx {rows[row]} is beyond the {len(responses)} responses; "
            "give the responses these rankings were made from"
        )
    differs = table["target_text"].astype(str).to_numpy(dtype=object) != responses[rows]
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        raise InputError(
            f"{where}, row {row_number(table, row)}: target_text '{shorten(str(table['target_text'].iloc[row]))}' is "
            f"not response {rows[row]} ('{shorten(str(responses[rows[row]]))}'); give the responses these rankings "
            "were made from"
        )


def _window_numbers(
    table: pd.DataFrame, k: int, responses: npt.NDArray[np.int64], judges: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the number of the window that each row of a table is a ranking of: (R,) from 0."""
    columns = [f"db_{kind}_{column}" for column in range(1, k) for kind in ("text", "score")] + ["prompt_order"]
    content = table[[column for column in columns if column in table]].astype(str).assign(response=responses)
    numbers = content.groupby(list(content.columns), sort=False).ngroup()
    # A response can draw equal windows twice: a judge's second ranking is then of the second of them.
    repeats = pd.DataFrame({"number": numbers, "judge": judges}).groupby(["number", "judge"]).cumcount()
    windows = pd.DataFrame({"number": numbers, "repeat": repeats}).groupby(["number", "repeat"], sort=False).ngroup()
    return np.asarray(windows, dtype=np.int64)


def _json_rows(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
    """Write each row as a JSON list, each distinct one once: there are far fewer orders than windows."""
    distinct, inverse = np.unique(rows, axis=0, return_inverse=True)
    written = np.array([json.dumps(row) for row in distinct.tolist()], dtype=object)
    return written[inverse.ravel()]


def _written(column: "pd.Series[Any]") -> npt.NDArray[np.object_]:
    """Return lists of item numbers as JSON, (R,), whether a table holds texts or lists; missing ones are empty."""
    is_list = np.array([isinstance(cell, list | tuple | np.ndarray) for cell in column.tolist()], dtype=bool)
    written = column.where(~is_list).fillna("").astype(str).str.strip().to_numpy(dtype=object)
    written[is_list] = [json.dumps(plain(cell), default=str) for cell in column[is_list].tolist()]
    return written


def _parse_orders(table: pd.DataFrame, failures: npt.NDArray[np.object_], k: int, where: str) -> npt.NDArray[np.int64]:
    column = table["ranking"]
    codes, distinct = pd.factorize(np.where(failures == "", _written(column), ""))
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
            f"{where}, row {row_number(table, int(bad[0]))}, column 'ranking': '{found}' is no permutation of the item "
            f"numbers 1 to {k}"
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
