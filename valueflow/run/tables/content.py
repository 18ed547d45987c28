"""What is in a file, whatever its name says: its bytes, unpacked, and the text they stand for."""

import gzip
import io
import os
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, cast

from valueflow.run.errors import InputError, nearest, shorten
from valueflow.run.tables.code_page import certain_windows_1252

STANDARD_INPUT = "-"
"""Stands for standard input in the place of a path."""

GZIP, ZIP, PARQUET = b"\x1f\x8b", b"PK\x03\x04", b"PAR1"

_UNREADABLE = {
    b"BZh": "is compressed by bzip2; unpack it first",
    b"\xfd7zXZ\x00": "is compressed by xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed by Zstandard; unpack it first",
    b"7z\xbc\xaf\x27\x1c": "is a 7-Zip archive; unpack it first",
    b"\xd0\xcf\x11\xe0": "is an Excel workbook of the old kind (.xls), or encrypted; save it as .xlsx or CSV",
    b"%PDF-": "is a PDF document; give a table",
    b"SQLite format 3\x00": "is an SQLite database; export the table as CSV",
    b"ARROW1\x00": "is an Arrow file; save it as Parquet",
    b"version https://git-lfs": "is a pointer of Git LFS, not the file itself; `git lfs pull` fetches that",
}
"""How files begin that are no table we read, and what they are."""

_WEB_PAGE = re.compile(rb"\s*<(?:!doctype html|html)\b", re.IGNORECASE)
_BYTES_LOOKED_AT = 64


def check_there(path: Path, what: str) -> None:
    """Stop where a path is no file with content; `what` names it in the error."""
    # These two, unlike Path's own, also answer for names that no file system can hold.
    if os.path.isdir(path):
        raise InputError(f"{what}: {path} is a folder; give a file")
    if not os.path.exists(path):
        raise InputError(f"{what}: {shorten(str(path), 200)} does not exist{_neighbours(path)}")
    if path.stat().st_size == 0 and path.is_file():
        raise InputError(f"{what}: {path} is empty")


@contextmanager
def open_content(path: Path, what: str) -> Iterator[io.BufferedReader]:
    """Open a file, or standard input for `-`, and unpack it if it is compressed by gzip.

    Yields
    ------
    io.BufferedReader
        Its bytes; `peek` shows how they begin.

    Raises
    ------
    InputError
        There is no such file, it is empty or may not be read, or it is something that can be no table.
    """
    if str(path) != STANDARD_INPUT:
        check_there(path, what)
    try:
        # What is no file of its own, such as a pipe, can be read once only, and is looked at twice.
        with open(path, "rb") if path.is_file() else io.BytesIO(_read_once(str(path))) as raw:
            content = _buffered(raw)
            if content.peek(2)[:2] == GZIP:
                content = _buffered(gzip.GzipFile(fileobj=content))
            start = content.peek(_BYTES_LOOKED_AT)[:_BYTES_LOOKED_AT]
            for magic, reason in _UNREADABLE.items():
                if start.startswith(magic) and not _is_text(start, magic):
                    raise InputError(f"{what}: {path} {reason}")
            if _WEB_PAGE.match(start):
                raise InputError(f"{what}: {path} is a web page, not a table; download the file itself")
            if not start:
                raise InputError(f"{what}: {'standard input' if str(path) == STANDARD_INPUT else path} is empty")
            yield content
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{what}: {path} is compressed by gzip, and damaged; fetch or pack it again") from error
    except PermissionError as error:
        raise InputError(f"{what}: {path} may not be read (permission denied)") from error
    except OSError as error:
        raise InputError(f"{what}: {path} cannot be read: {error.strerror or error}") from error


def is_packed(path: Path) -> bool:
    """Return whether a file is compressed by gzip, whatever its name says."""
    with open(path, "rb") as file:
        return file.read(2) == GZIP


def text_of(content: io.BufferedReader, path: Path, what: str) -> IO[str]:
    r"""Return a file's bytes as text: UTF-8, UTF-16 with its mark, or Windows-1252 where that is certain.

    Line breaks stay as they are.

    Raises
    ------
    InputError
        The text is in another encoding. Of UTF-8 that is broken further on, a `UnicodeDecodeError` comes while it is
        read; `in_code_page` then looks at the whole.
    """
    start = content.peek(_BYTES_LOOKED_AT)[:_BYTES_LOOKED_AT]
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return io.TextIOWrapper(content, encoding="utf-16", newline="")
    if start[:16].count(0) > len(start[:16]) // 4:
        raise InputError(f"{what}: {path} holds NUL characters, as UTF-16 without its mark does; save it as UTF-8")
    return io.TextIOWrapper(content, encoding="utf-8-sig", newline="")


def in_code_page(content: bytes, path: Path, what: str) -> str:
    """Return a text that is not UTF-8 as Windows-1252, where all signs say that it is.

    Raises
    ------
    InputError
        It may be in another encoding; with the first byte that is not UTF-8 and its line.
    """
    found = certain_windows_1252(content)
    if found is not None:
        return found
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{what}: {path} is not UTF-8 (byte {content[error.start]:#04x} in line {line}); save it as UTF-8, or "
            "convert it, as `iconv -f CP1252 -t UTF-8` does a file of Western Windows"
        ) from error
    raise AssertionError("only what is not UTF-8 comes here")


def _buffered(stream: object) -> io.BufferedReader:
    return io.BufferedReader(cast(io.RawIOBase, stream), 1 << 16)


def _is_text(start: bytes, magic: bytes) -> bool:
    """Return whether what begins like an archive is text, as a column may be called `BZhistory`."""
    return magic == b"BZh" and start[3:4] not in b"123456789"


@lru_cache(maxsize=4)
def _read_once(path: str) -> bytes:
    """Read standard input or a pipe to its end; all jobs of a sweep get the same."""
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    with open(path, "rb") as stream:
        return stream.read()


def _neighbours(path: Path) -> str:
    if not os.path.isdir(path.parent):
        return f" (nor does its folder {path.parent})"
    names = sorted(entry.name for entry in path.parent.iterdir() if not entry.name.startswith("."))
    return f"; {nearest(path.name, names[:40])}" if names else ""
