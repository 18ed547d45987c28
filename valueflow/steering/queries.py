"""Query sets: the questions that a steered model answers."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from valueflow.run import HUGGING_FACE, BadRows, InputError, as_texts, nearest, read_table, text_column

PACKAGED_FILE = Path(__file__).parent.parent / "assets" / "queries.csv"


def load_queries(files: Sequence[str] | None, limit: int | None, bad_rows: BadRows | None = None) -> pd.DataFrame:
    """Read query sets one after another.

    Parameters
    ----------
    files
        What `read_table` takes, with a column `query`; where a column `dataset` stands too it says what set a query is
        of, else the file's name does. None: the packaged set of 50 open questions.
    limit
        Only the first so many queries in all; None: all.
    bad_rows
        What becomes of rows without a query.

    Returns
    -------
    pandas.DataFrame
        `query` and `dataset`, in order; queries that appear twice stay.

    Raises
    ------
    InputError
        A file cannot be read, has no column `query`, or a query is missing or blank.
    """
    if files is not None and not all(file.strip() for file in files or [""]):
        raise InputError("queries: name one file or more, or leave queries out for the packaged set")
    sets = [_read(str(file), bad_rows or BadRows()) for file in ([PACKAGED_FILE] if files is None else files)]
    return pd.concat(sets, ignore_index=True).head(limit if limit is not None else sum(map(len, sets)))


def _read(source: str, bad_rows: BadRows) -> pd.DataFrame:
    frame = read_table(source, "queries")
    if "query" not in frame:
        raise InputError(f"{source}: column 'query' is missing; {nearest('query', map(str, frame.columns))}")
    frame = bad_rows.left(frame, source, texts=["query"], prose={"query": "user"})
    if frame.empty:
        raise InputError(f"{source}: no row holds a query")
    name = source.removeprefix(HUGGING_FACE) if source.startswith(HUGGING_FACE) else Path(source).stem
    datasets = as_texts(frame["dataset"], source) if "dataset" in frame else name
    return pd.DataFrame({"query": text_column(frame, "query", source, "user"), "dataset": datasets})
