"""Which engines run, in which order they are started and closed, and what is left."""

import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from valueflow.llm import Completion, Conversation, Sampling, Stream, release, running_engine
from valueflow.run import InputError

ROOT = Path(__file__).parents[2]

events: list[str] = []


class Echo:
    """An engine that answers with the last message."""

    def __init__(self, name: str, *, closes: bool = True) -> None:
        self.name = name
        self.closes = closes

    def stream(self, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling]) -> Stream:
        said = enumerate(conversations)
        return Stream([(index, Completion(conversation[-1]["content"]))] for index, conversation in said)

    def close(self) -> None:
        events.append(f"close {self.name}")
        if not self.closes:
            raise OSError("the process is gone")


@dataclass(frozen=True)
class Local:
    """A model that occupies the machine."""

    occupies_machine: ClassVar[bool] = True
    model: str = "a"
    fault: str = ""
    options: dict[str, int] = field(default_factory=dict)

    def identity(self) -> dict[str, object]:
        return {"engine": type(self).__name__.lower(), "model": self.model}

    def start(self) -> Echo:
        events.append(f"start {self.model}")
        if self.fault == "start":
            raise InputError("no such model")
        return Echo(self.model, closes=self.fault != "close")


@dataclass(frozen=True)
class Server(Local):
    """A model that another machine runs."""

    occupies_machine: ClassVar[bool] = False


@pytest.fixture(autouse=True)
def nothing_runs() -> Iterator[None]:
    release()
    events.clear()
    yield
    release()


def test_an_equal_model_has_the_same_engine() -> None:
    first = running_engine(Local(options={"a": 1}))
    assert running_engine(Local(options={"a": 1})) is first
    assert events == ["start a"]
    assert running_engine(Local(options={"a": 2})) is not first


def test_a_model_takes_the_machine_from_the_one_before() -> None:
    running_engine(Local("a"))
    running_engine(Local("b"))
    running_engine(Local("a"))
    assert events == ["start a", "close a", "start b", "close b", "start a"]


def test_servers_neither_make_room_nor_give_way() -> None:
    local = running_engine(Local("local"))
    server = running_engine(Server("server"))
    assert running_engine(Local("local")) is local
    running_engine(Local("other"))
    assert running_engine(Server("server")) is server
    assert events == ["start local", "start server", "close local", "start other"]


def test_eight_servers_are_kept_and_the_one_unused_for_longest_goes_first() -> None:
    for i in range(8):
        running_engine(Server(str(i)))
    running_engine(Server("0"))
    assert not [event for event in events if event.startswith("close")]
    running_engine(Server("8"))
    running_engine(Server("9"))
    assert [event for event in events if event.startswith("close")] == ["close 1", "close 2"]


def test_release_closes_all_or_one() -> None:
    running_engine(Local("a"))
    running_engine(Server("b"))
    running_engine(Server("c"))
    release(Server("b"))
    release(Server("never started"))
    assert events[3:] == ["close b"]
    release()
    assert events[3:] == ["close b", "close a", "close c"]
    release()
    assert len(events) == 6
    running_engine(Local("a"))
    assert events[-1] == "start a"


def test_an_engine_that_does_not_start_leaves_nothing_behind() -> None:
    running_engine(Local("before"))
    for _ in range(2):
        with pytest.raises(InputError, match="no such model"):
            running_engine(Local("bad", fault="start"))
    running_engine(Local("after"))
    release()
    assert events == ["start before", "close before", "start bad", "start bad", "start after", "close after"]


def test_an_engine_that_does_not_close_is_forgotten_and_told(caplog: pytest.LogCaptureFixture) -> None:
    running_engine(Server("bad", fault="close"))
    running_engine(Server("good"))
    release()
    assert events[2:] == ["close bad", "close good"]
    assert "bad did not close: the process is gone" in caplog.text
    running_engine(Local("stuck", fault="close"))
    running_engine(Local("next"))
    assert events[-1] == "start next"


def test_a_start_is_told_with_its_time(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        running_engine(Server("Qwen/Qwen3-32B"))
        running_engine(Server("Qwen/Qwen3-32B"))
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert re.fullmatch(r"started server Qwen/Qwen3-32B in \d+\.\d s", record.getMessage())


def test_threads_that_want_one_model_at_once_get_one_engine() -> None:
    gate = threading.Barrier(8)
    engines: list[object] = []

    def want() -> None:
        gate.wait()
        engines.append(running_engine(Local("shared")))

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(engines) == 8
    assert len(set(map(id, engines))) == 1
    assert events == ["start shared"]


PROCESS = """
import os, sys
from tests.llm import test_engine_pool as t
t.Echo.close = lambda self: print("close", self.name, "in", "child" if child == 0 else "parent", flush=True)
child = -1
mine = t.running_engine(t.Local("a"))
if sys.argv[1] == "fork":
    child = os.fork()
    if child == 0:
        assert t.running_engine(t.Local("a")) is not mine
        sys.exit()
    os.waitpid(child, 0)
    assert t.running_engine(t.Local("a")) is mine
elif sys.argv[1] == "fault":
    raise KeyError("a fault of the program")
"""


@pytest.mark.parametrize(
    ("ending", "closed"),
    [
        ("return", ["close a in parent"]),
        ("fault", ["close a in parent"]),
        ("fork", ["close a in child", "close a in parent"]),
    ],
)
def test_engines_are_closed_when_their_process_ends(ending: str, closed: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, ending], cwd=ROOT, env=os.environ, capture_output=True, text=True
    )
    assert done.returncode == (1 if ending == "fault" else 0), done.stderr
    assert done.stdout.splitlines() == closed
