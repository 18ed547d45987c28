"""What is made once: by one process, whole or not at all, where there is room."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from valueflow.packages import unpacked_once
from valueflow.run import InputError


def test_a_file_or_folder_is_made_once(tmp_path: Path) -> None:
    calls: list[Path] = []

    def make(path: Path) -> None:
        calls.append(path)
        path.mkdir()
        (path / "a").write_text("x")

    for _ in range(2):
        assert unpacked_once(tmp_path / "models" / "one", make, what="it", room=10) == tmp_path / "models" / "one"
    assert len(calls) == 1
    assert (tmp_path / "models" / "one" / "a").read_text() == "x"
    unpacked_once(tmp_path / "models" / "two.gguf", lambda path: path.write_bytes(b"y"), what="it", room=10)
    assert (tmp_path / "models" / "two.gguf").read_bytes() == b"y"


def test_what_fails_leaves_nothing_and_can_be_tried_again(tmp_path: Path) -> None:
    def half(path: Path) -> None:
        path.mkdir()
        (path / "a").write_text("x")
        raise InputError("part 3 is damaged")

    with pytest.raises(InputError, match="part 3 is damaged"):
        unpacked_once(tmp_path / "one", half, what="it", room=10)
    assert [path.name for path in tmp_path.iterdir()] in ([], ["one.lock"])

    def full(path: Path) -> None:
        path.write_text("x")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"^it cannot be unpacked into .*No space left.*with 3\.0 GB of room$"):
        unpacked_once(tmp_path / "one", full, what="it", room=3_000_000_000)
    assert unpacked_once(tmp_path / "one", lambda path: path.write_text("y"), what="it", room=10).read_text() == "y"


def test_too_little_room_is_told_beforehand(tmp_path: Path) -> None:
    def never(path: Path) -> None:
        raise AssertionError

    with pytest.raises(InputError) as error:
        unpacked_once(tmp_path / "one", never, what="model 'fake'", room=10**18)
    line = str(error.value)
    assert line.startswith("model 'fake': unpacking it needs 1000000000.0 GB of room, and the disk of ")
    assert line.endswith("; set VALUEFLOW_CACHE to a folder with more")


MAKE = """
import sys, time
from pathlib import Path
from valueflow.packages import unpacked_once
def make(path):
    path.mkdir()
    (path / "begun").touch()
    with open(sys.argv[2], "a") as log:
        log.write("made\\n")
    time.sleep(float(sys.argv[3]))
print(unpacked_once(Path(sys.argv[1]), make, what="it", room=10))
"""


def started(target: Path, log: Path, seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", MAKE, str(target), str(log), str(seconds)], env=os.environ, stdout=subprocess.PIPE
    )


def test_one_process_makes_it_while_others_wait_and_a_killed_one_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    target, log = tmp_path / "models" / "one", tmp_path / "log"
    killed = started(target, log, 60)
    while not list(target.parent.glob(".one-unfinished/begun")):
        assert killed.poll() is None
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    assert not target.exists()
    log.unlink()
    workers = [started(target, log, 0.5) for _ in range(3)]
    assert [worker.communicate()[0].decode().strip() for worker in workers] == [str(target)] * 3
    assert log.read_text() == "made\n"
    assert {path.name for path in target.parent.iterdir()} == {"one", "one.lock"}
