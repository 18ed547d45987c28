"""Query sets: the questions that a steered model answers."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from valueflow.run import HUGGING_FACE, BadRows, InputError, as_texts, is_hidden, nearest, read_table, text_column

PACKAGED_FILE = Path(__file__).parent.parent / "assets" / "queries.csv"

_TABLES = (".csv", ".tsv", ".parquet", ".json", ".jsonl", ".xlsx")
"""How tables of a folder are named."""


def load_queries(files: Sequence[str] | None, limit: int | None, bad_rows: BadRows | None = None) -> pd.DataFrame:
    """Read query sets one after another.

    Parameters
    ----------
    files
        What `read_table` takes, with a column `query`; where a column `dataset` stands too it says what set a query is
        of, else the file's name does. A folder stands for all tables in it, by name; a name without its ending for the
        one table that it begins. None: the packaged set of 50 open questions.
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
        A file cannot be read, has no column `query`, or a query is missing or blank; a folder holds no table, or a name
        without its ending fits several.
    """
    if files is not None and not all(file.strip() for file in files or [""]):
        raise InputError("queries: name one file or more, or leave queries out for the packaged set")
    named = [str(PACKAGED_FILE)] if files is None else [table for file in files for table in _tables(str(file))]
    sets = [_read(file, bad_rows or BadRows()) for file in named]
    return pd.concat(sets, ignore_index=True).head(limit if limit is not None else sum(map(len, sets)))


def _tables(source: str) -> list[str]:
    """Return the tables that a source stands for: those of a folder, or the one that a name without ending means."""
    path = Path(source)
    if source.startswith(HUGGING_FACE) or os.path.isfile(path):
        return [source]
    if os.path.isdir(path):
        tables = [str(file) for file in sorted(path.iterdir()) if _is_table(file)]
        if not tables:
            raise InputError(
                f"queries: the folder {source} holds no table; give a folder of tables with a column query"
            )
        return tables
    named = [file for file in sorted(path.parent.glob("*")) if file.name.partition(".")[0] == path.name]
    tables = [str(file) for file in named if _is_table(file)]
    if len(tables) > 1:
        raise InputError(f"queries: {source} may be {' or '.join(tables)}; give the whole name")
    # Where there is none, reading it says so.
    return tables or [source]


def _is_table(file: Path) -> bool:
    return not is_hidden(file.name) and file.name.lower().removesuffix(".gz").endswith(_TABLES) and file.is_file()


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
