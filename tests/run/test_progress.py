"""The progress bar: what it counts on a terminal, and that it is silent elsewhere."""

import os
import pty
import subprocess
import sys

import pytest

from valueflow.run import progress_bar

SCRIPT = """
import sys
from valueflow.run import progress_bar
with progress_bar("pvq/power", 7, "windows", enabled=sys.argv[1] == "on") as advance:
    advance(3, 0)
    advance(3, 1, "100 cached")
    advance(1, 1, "phi-4: [/b] {x} 512 tokens/s")
"""


def shown_on_a_terminal(switch: str) -> str:
    main, terminal = pty.openpty()
    environment = os.environ | {"COLUMNS": "160", "TERM": "xterm"}
    done = subprocess.run([sys.executable, "-c", SCRIPT, switch], stderr=terminal, env=environment, check=False)
    os.close(terminal)
    shown = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(main)
    assert done.returncode == 0
    return shown.decode()


def test_a_terminal_sees_what_is_done_and_what_failed() -> None:
    shown = shown_on_a_terminal("on")
    for part in ("pvq/power", "7/7", "windows/s", "2 failed"):
        assert part in shown


def test_a_terminal_sees_the_latest_note_as_it_is() -> None:
    assert "phi-4: [/b] {x} 512 tokens/s" in shown_on_a_terminal("on")


def test_a_terminal_sees_nothing_where_it_is_switched_off() -> None:
    assert "pvq/power" not in shown_on_a_terminal("off")


def test_what_is_no_terminal_sees_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar("title", 2, "windows") as advance:
        advance(1, 0)
        advance(1, 1, "a note")
    assert capfd.readouterr() == ("", "")
