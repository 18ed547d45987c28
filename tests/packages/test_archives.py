"""Zip archives: only what is wanted comes out, and nothing lands outside the folder."""

import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from valueflow.packages import extract
from valueflow.run import InputError


def extracted(archive: Path, folder: Path, **changes: Any) -> dict[str, bytes]:
    extract(archive, folder, **({"top": "model", "suffixes": (".json", ".bin"), "what": "it"} | changes))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def archive_of(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "archive.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in members.items():
            written.writestr(name, content)
    return path


def test_only_what_is_wanted_is_extracted(tmp_path: Path) -> None:
    members = {"model/config.json": b"{}", "model/1_Pooling/config.json": b"[]", "model/weights.bin": b"x" * 3_000_000}
    others = {"other/config.json": b"0", "config.json": b"1", "model/run.py": b"2", "models/config.json": b"3"}
    archive = archive_of(tmp_path, members | others | {"model/1_Pooling/": b""})
    wanted = {name.removeprefix("model/"): content for name, content in members.items()}
    assert extracted(archive, tmp_path / "all") == wanted
    del wanted["weights.bin"]
    assert extracted(archive, tmp_path / "few", suffixes=(".json",)) == wanted


def test_a_path_with_two_slashes_stays_inside(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, {"model//etc/x.json": b"1"})
    assert extracted(archive, tmp_path / "out") == {"etc/x.json": b"1"}


@pytest.mark.parametrize(
    "name", ["../evil.json", "model/../../evil.json", "/evil.json", "..\\evil.json", "C:/evil.json"]
)
def test_members_that_lead_out_of_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    archive = archive_of(tmp_path, {"model/fine.json": b"1", name: b"2"})
    with pytest.raises(InputError, match="leads out of it"):
        extracted(archive, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"archive.zip"}


def test_links_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as written:
        written.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="holds 'link', which is a link"):
        extracted(tmp_path / "archive.zip", tmp_path / "out")


@pytest.mark.parametrize("place", [100, -10])
def test_a_damaged_archive_is_told_in_one_line(tmp_path: Path, place: int) -> None:
    archive = archive_of(tmp_path, {"model/weights.bin": bytes(range(256)) * 2000})
    content = bytearray(archive.read_bytes())
    content[place] ^= 255
    archive.write_bytes(content[:-10] if place < 0 else content)
    with pytest.raises(InputError, match="^it: its archive cannot be unpacked"):
        extracted(archive, tmp_path / "out")
