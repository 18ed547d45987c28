"""Files that are either complete or absent: written to a temporary name, then renamed."""

import csv
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it takes its place once the block succeeds.

    Parameters
    ----------
    path
        Of the finished file. Its folder is created. An older file is replaced only
        when the block ends without an error; otherwise it is left as it was.

    Yields
    ------
    Path
        The temporary path, with the suffix of `path` (libraries choose formats by it).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes private files; results get the permissions any new file would get.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_csv(frame: "pd.DataFrame", path: Path) -> None:
    r"""Write a table as UTF-8 CSV, whatever its texts hold.

    A bare carriage return ends a line for many readers unless it is quoted, and the csv module
    quotes only what its own line ending needs, so a table that holds one has all texts quoted.
    """
    texts = frame.select_dtypes(exclude="number")
    has_carriage_return = any(texts[column].astype(str).str.contains("\r", regex=False).any() for column in texts)
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if has_carriage_return else csv.QUOTE_MINIMAL
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False, encoding="utf-8", quoting=quoting, lineterminator="\n")


def write_json(figures: Mapping[str, Any], path: Path) -> None:
    """Write figures as indented JSON; NaN and infinities, which JSON has no words for, become null."""
    with replacing(path) as temporary:
        temporary.write_text(
            json.dumps(plain(figures), indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )


def plain(value: Any) -> Any:
    """Turn numpy scalars, arrays, paths and nested containers into what JSON can hold."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    # Asked by what it can do: numpy would take a fifth of the time that a user waits for --help.
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | int | bool) or value is None:
        return value
    return str(value)
