"""A PostgreSQL server of the tests' own, SQL on it, and the command `valueflow-cache` with a cache there."""

import io
import os
import subprocess
import time
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

import pytest

from benchmarks.postgres_server import PostgresServer, why_no_server
from valueflow.llm import cache_command

_MISSING = why_no_server() or (None if find_spec("psycopg") else "psycopg is not installed (extra postgres)")

NEEDS_SERVER = pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING))

TEXTS = [
    "\ud83d\ude00",
    "\U0001f600",
    "\udc00",
    "\x00",
    "a\x00b",
    " a",
    "\u2028b",
    "c\r\n",
    "{[\"'",
    "\\x00",
    "\x00" * 99,
]
"""That a file or a server could read otherwise than they were written."""


def new_schema(server: PostgresServer) -> str:
    return server.url(schema=server.new_schema(f"test{time.monotonic_ns()}"))


def statement(url: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Run SQL with a connection of the test's own."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        done = connection.execute(sql, values)
        return done.fetchall() if done.description else []


def run_command(url: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `valueflow-cache`."""
    output, errors = io.StringIO(), io.StringIO()
    settings = {"VALUEFLOW_CACHE_URL": url, **environ}
    with redirect_stdout(output), redirect_stderr(errors), patch.dict(os.environ, settings):
        code = cache_command(arguments)
    return subprocess.CompletedProcess(["valueflow-cache", *arguments], code, output.getvalue(), errors.getvalue())
