"""Zip archives, of which only what is wanted is extracted, and nothing outside the folder."""

import stat
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from valueflow.run import InputError, progress_bar

_MEGABYTE = 2**20


def extract(archive: Path, folder: Path, *, top: str, suffixes: Collection[str], what: str) -> None:
    """Extract what a folder inside a zip archive holds, with a bar.

    Parameters
    ----------
    archive
        The file.
    folder
        Where to; made if it is not there.
    top
        The folder inside the archive whose files are extracted, by their paths from there.
    suffixes
        Only files with one of these are.
    what
        How messages name what the archive holds.

    Raises
    ------
    InputError
        The archive is damaged, or one of its members would lie outside the folder or is a link; in the latter case,
        nothing is extracted.
    OSError
        The folder cannot be written to.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = {PurePosixPath(info.filename): info for info in opened.infolist() if not info.is_dir()}
            for info in members.values():
                _check(info, what)
            chosen = {
                folder / path.relative_to(top): info
                for path, info in members.items()
                if path.is_relative_to(top) and path.suffix in suffixes
            }
            total = sum(-(-info.file_size // _MEGABYTE) for info in chosen.values())
            with progress_bar(f"{what}: unpacking", total, "MB") as advance:
                for target, info in chosen.items():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with opened.open(info) as source, target.open("wb") as written:
                        while chunk := source.read(_MEGABYTE):
                            written.write(chunk)
                            advance(1, 0)
    # Damaged in its list or its data, compressed in a way unknown here, encrypted.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{what}: its archive cannot be unpacked ({error})") from error


def _check(member: zipfile.ZipInfo, what: str) -> None:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or is_link:
        raise InputError(
            f"{what}: its archive holds '{member.filename}', which {'is a link' if is_link else 'leads out of it'}; "
            "nothing of it is used"
        )
