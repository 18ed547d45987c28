"""Anchors from a folder, a file, or a Hugging Face dataset."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.run import (
    HUGGING_FACE,
    SUMMARY_FILE,
    BadRowPolicy,
    BadRows,
    InputError,
    files_named,
    is_hidden,
    nearest,
    number_column,
    read_table,
    rename_columns,
    row_number,
    text_column,
)
from valueflow.theory import Theory, find_theory, normalize_name
from valueflow.vidb.anchors import HIGHEST_INTENSITY, LOWEST_INTENSITY, Anchors
from valueflow.vidb.few_shot import few_shot_table

DEMO = "demo"
DEMO_FILE = Path(__file__).parent.parent / "assets" / "anchors.csv"
FILE_SUFFIX = "_flag_aggregated.csv"
BUILT_FOLDER = "vidb"
"""Where `build_vidb.py` leaves a database in the folder of a run."""

ERROR_COLUMN = "standard_error"
"""A column that a source may have: standard errors of its ratings, as `build_vidb.py` writes them."""

COLUMNS: dict[str, str | None] = {name: name for name in ("text", "final_rating", "theory", "value", ERROR_COLUMN)}
"""Our column names -> a file's; what `vidb_columns` overrides."""

_CHECKED = ("theory", "value", "text", "final_rating")


@dataclass(frozen=True, eq=False)
class Vidb:
    """All anchors of a source; equal, and hashed, by identity: what is fitted on it can be cached.

    Attributes
    ----------
    source
        Where they come from, as given.
    anchors
        One entry per value, in the order of theory and value.
    n_repeated
        Rows whose text appeared before for the same value; a text counts once, at the mean of its intensities.
    digest
        SHA-256 of all texts and intensities, for comparing runs.
    bad_rows
        Rows of the source that could not be used.
    """

    source: str
    anchors: tuple[Anchors, ...]
    n_repeated: int
    digest: str
    bad_rows: BadRows = field(default_factory=BadRows)

    def of(self, theory: Theory, value: str) -> Anchors:
        """Return the anchors of one value (its id).

        Raises
        ------
        InputError
            The source has none for it; the message lists the values that it has.
        """
        for anchors in self.anchors:
            if anchors.theory == theory.name and normalize_name(anchors.value) == normalize_name(value):
                return anchors
        values = [anchors.value for anchors in self.anchors if anchors.theory == theory.name]
        if not values:
            theories = sorted({anchors.theory for anchors in self.anchors})
            raise InputError(f"vidb: {self.source} has no anchors of theory '{theory.name}', only of {theories}")
        raise InputError(f"vidb: {self.source} has no anchors of '{value}'; {nearest(value, values)}")


def load_vidb(
    source: str,
    theory: Theory | None = None,
    columns: Mapping[str, str | None] | None = None,
    bad_rows: BadRows | None = None,
) -> Vidb:
    """Load anchors and check every one of them.

    Parameters
    ----------
    source
        `demo` (the packaged anchors); a folder of `{value}_{theory}_flag_aggregated.csv` files, or that of a run or a
        sweep of `build_vidb.py`, which hold such a folder; a file with `text`, `final_rating`, `theory` and `value` (a
        file name as above can replace the last two); a few-shot file of the published code (`few_shot_table`); or
        `hf://NAME[:SPLIT]`, a Hugging Face dataset with these columns, by its name on the hub or as a folder.
    theory
        A theory besides the packaged ones, by which files and values are identified.
    columns
        Our column name -> the source's, for those that differ; None where there is no such column.
    bad_rows
        What becomes of rows without a text or a rating, or with one beyond the scale; those of this source are added.

    Raises
    ------
    InputError
        The source, a column or a text is missing, or an intensity is not in [-10, 10]; with file and row.
    """
    mapping = {**COLUMNS, **(columns or {})}
    unknown = sorted(set(mapping) - set(COLUMNS))
    if unknown:
        raise InputError(f"vidb_columns: unknown column '{unknown[0]}'; {nearest(unknown[0], COLUMNS)}")
    # The jobs of a sweep ask for the same source again, on other theories too; it is read again only where it changed.
    policy = "fail" if bad_rows is None else bad_rows.policy
    is_packaged = theory is not None and find_theory(theory.name) == theory
    # Packaged theories are known without being given; a few-shot file names values alone, and theirs is the one given.
    deciding = None if is_packaged and not source.endswith(".json") else theory
    vidb = _load(source, deciding, tuple(sorted(mapping.items())), policy, _stamp(source))
    if bad_rows is not None:
        bad_rows.skipped += vidb.bad_rows.skipped
        bad_rows.clamped += vidb.bad_rows.clamped
    return vidb


@lru_cache(maxsize=8)
def _load(
    source: str,
    theory: Theory | None,
    columns: tuple[tuple[str, str | None], ...],
    policy: BadRowPolicy,
    stamp: object,
) -> Vidb:
    del stamp  # part of the cache's key only
    mapping, bad_rows = dict(columns), BadRows(policy)
    path = DEMO_FILE if source == DEMO else Path(source)
    if not source.startswith(HUGGING_FACE) and os.path.isdir(path):
        parts = [_named_file(file, mapping, theory, bad_rows) for file in _files_of(path)]
    elif (few_shot := few_shot_table(path, theory)) is not None:
        parts = [_checked(few_shot, {}, str(path), theory, bad_rows)]
    elif _name_parts(path, theory) and mapping["value"] not in read_table(path, "vidb").columns:
        parts = [_named_file(path, mapping, theory, bad_rows)]
    else:
        whole = read_table(source if source.startswith(HUGGING_FACE) else path, "vidb")
        where = source if source.startswith(HUGGING_FACE) else str(path)
        parts = [_checked(whole, mapping, where, theory, bad_rows)]
    rows = pd.concat(parts, ignore_index=True)
    columns_found = [*_CHECKED, *([ERROR_COLUMN] if rows[ERROR_COLUMN].notna().any() else [])]
    digest = hashlib.sha256(rows[columns_found].to_csv(index=False).encode("utf-8", "surrogatepass")).hexdigest()
    # The error of a mean of ratings is at most the mean of their errors.
    unique = rows.groupby(["theory", "value", "text"])[["final_rating", ERROR_COLUMN]].mean().reset_index()
    unique = unique.sort_values(["theory", "value", "final_rating", "text"], kind="stable")
    anchors = tuple(
        Anchors(
            str(theory_name),
            str(value),
            group["text"].to_numpy(dtype=object),
            group["final_rating"].to_numpy(dtype=float),
            group[ERROR_COLUMN].to_numpy(dtype=float) if group[ERROR_COLUMN].notna().any() else None,
        )
        for (theory_name, value), group in unique.groupby(["theory", "value"], sort=True)
    )
    return Vidb(source, anchors, n_repeated=len(rows) - len(unique), digest=digest, bad_rows=bad_rows)


def _files_of(folder: Path) -> list[Path]:
    """Return the files of a database in a folder; hidden ones, which macOS puts beside others, are none."""
    for inside in (folder, folder / BUILT_FOLDER):
        files = [file for file in sorted(inside.glob(f"*{FILE_SUFFIX}")) if not is_hidden(file.name)]
        if files:
            return files
    jobs = [file.parent for file in files_named(folder, SUMMARY_FILE) if (file.parent / BUILT_FOLDER).is_dir()]
    files = [file for job in jobs for file in sorted((job / BUILT_FOLDER).glob(f"*{FILE_SUFFIX}"))]
    files = [file for file in files if not is_hidden(file.name)]
    if not files:
        raise InputError(f"vidb: the folder {folder} holds no file named VALUE_THEORY{FILE_SUFFIX}")
    names = [file.name for file in files]
    twice = next((file for file in files if names.count(file.name) > 1), None)
    if twice is not None:
        raise InputError(f"vidb: several runs in {folder} have built {twice.name}; choose one, as vidb={twice.parent}")
    return files


def _checked(
    frame: pd.DataFrame,
    mapping: Mapping[str, str | None],
    where: str,
    theory: Theory | None,
    bad_rows: BadRows,
) -> pd.DataFrame:
    """Return the five columns of a table, valid and with ids in place of names."""
    frame = rename_columns(frame, mapping, list(_CHECKED), where)
    limits = {"final_rating": (LOWEST_INTENSITY, HIGHEST_INTENSITY)}
    left = bad_rows.left(frame, where, texts=["text"], prose={"text": "assistant"}, numbers=limits)
    if left.empty:
        raise InputError(f"{where}: none of its {len(frame)} rows has a text and a rating")
    frame = left
    names = pd.DataFrame({"theory": text_column(frame, "theory", where), "value": text_column(frame, "value", where)})
    first = names.drop_duplicates()
    ids = {
        (name, value): _ids(name, value, theory, f"{where}, row {row_number(frame, row)}")
        for row, name, value in zip(first.index.tolist(), first["theory"], first["value"], strict=True)
    }
    pairs = [ids[pair] for pair in zip(names["theory"], names["value"], strict=True)]
    return pd.DataFrame(
        {
            "theory": [theory_id for theory_id, _ in pairs],
            "value": [value_id for _, value_id in pairs],
            "text": text_column(frame, "text", where),
            "final_rating": number_column(
                frame, "final_rating", where, lowest=LOWEST_INTENSITY, highest=HIGHEST_INTENSITY
            ),
            ERROR_COLUMN: _errors(frame, where),
        }
    )


def _errors(frame: pd.DataFrame, where: str) -> npt.NDArray[np.float64]:
    """Return the standard errors of ratings, (N,); NaN where a cell is blank or there is no such column."""
    errors = np.full(len(frame), np.nan)
    if ERROR_COLUMN in frame:
        filled = frame[ERROR_COLUMN].notna().to_numpy() & (frame[ERROR_COLUMN].astype(str).str.strip() != "").to_numpy()
        span = HIGHEST_INTENSITY - LOWEST_INTENSITY
        cells = frame[[ERROR_COLUMN]].where(filled[:, None], 0.0)
        errors[filled] = number_column(cells, ERROR_COLUMN, where, lowest=0.0, highest=span)[filled]
    return errors


def _named_file(
    path: Path, mapping: Mapping[str, str | None], theory: Theory | None, bad_rows: BadRows
) -> pd.DataFrame:
    names = _name_parts(path, theory)
    if names is None:
        raise InputError(f"vidb: {path} is not named VALUE_THEORY{FILE_SUFFIX}")
    frame = rename_columns(read_table(path, "vidb"), mapping, ["text", "final_rating"], str(path))
    return _checked(frame.assign(value=names[0], theory=names[1]), {}, str(path), theory, bad_rows)


def _name_parts(path: Path, theory: Theory | None) -> tuple[str, str] | None:
    """Return value and theory as a file's name gives them, or None where it is not named that way."""
    if not path.name.endswith(FILE_SUFFIX):
        return None
    stem = path.name.removesuffix(FILE_SUFFIX)
    if theory is not None and stem.endswith(f"_{theory.name}"):
        return stem.removesuffix(f"_{theory.name}"), theory.name
    match = re.fullmatch(r"(.+)_([^_]+)", stem)
    return (match[1], match[2]) if match else None


def _ids(theory_name: str, value_name: str, own: Theory | None, where: str) -> tuple[str, str]:
    """Return the ids of a theory and a value as a source names them.

    Names of an unknown theory are taken as they are; a value that a known theory does not have is an error.
    """
    is_own = own is not None and normalize_name(theory_name) == normalize_name(own.name)
    known = own if is_own else find_theory(theory_name)
    if known is None:
        return theory_name.strip(), value_name.strip()
    value = known.find(value_name)
    if value is None:
        raise InputError(
            f"{where}: value '{value_name}' is not in theory '{known.name}'; {nearest(value_name, known.values)}"
        )
    return known.name, value


def _stamp(source: str) -> object:
    """Return what changes when the files of a source do."""
    path = DEMO_FILE if source == DEMO else Path(source.removeprefix(HUGGING_FACE))
    files = sorted(path.rglob("*")) if os.path.isdir(path) else [path]
    return tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files if os.path.isfile(file))
