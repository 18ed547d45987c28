"""A PostgreSQL server of one's own while a test or a benchmark takes, from the programs that Debian installs."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

SECONDS_TO_START = 60


@dataclass
class PostgresServer:
    """A server on a port of this machine and on a socket; both want the password.

    Attributes
    ----------
    password
        Of the user `owner`, who may do everything; a new one for each server, with characters that a URL has to escape.
    """

    programs: Path
    folder: Path
    port: int
    password: str
    settings: Sequence[str]
    process: subprocess.Popen[bytes] | None = None

    def url(
        self, user: str = "owner", password: str | None = None, database: str = "postgres", schema: str = "public"
    ) -> str:
        """Return the URL of a database, with a password: the owner's, unless another is given."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{database}?options=-csearch_path%3D{schema}"

    def new_schema(self, name: str) -> str:
        """Make a schema, which has tables of its own, and return its name."""
        server = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "owner", "-d", "postgres")
        subprocess.run(
            [self.programs / "psql", "-q", "-X", *server, "-c", f"CREATE SCHEMA {name}"],
            env=os.environ | {"PGPASSWORD": self.password},
            check=True,
        )
        return name

    def start(self) -> None:
        """Start it and wait until it answers."""
        command: list[str | Path] = [
            self.programs / "postgres",
            "-D",
            self.folder / "data",
            "-p",
            str(self.port),
            "-k",
            self.folder,
        ]
        options = [part for setting in self.settings for part in ("-c", setting)]
        user, group = _user()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *options], stdout=log, stderr=log, cwd=self.folder, user=user, group=group
            )
        asked: list[str | Path] = [self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        latest = time.monotonic() + SECONDS_TO_START
        while subprocess.run(asked, check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > latest:
                raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it at once, as an administrator does; connections are lost, what was committed is not."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait()
            self.process = None


def why_no_server() -> str | None:
    """Return why no server can be started here, or None where one can."""
    if _programs() is None:
        return "no initdb of PostgreSQL (Debian: apt install postgresql)"
    if os.geteuid() == 0 and _user() == (None, None):
        return "PostgreSQL does not run as root, and there is no other user"
    return None


@contextmanager
def running_postgres(*settings: str) -> Iterator[PostgresServer]:
    """Make a database cluster in a folder of its own and run a server on it.

    Parameters
    ----------
    settings
        As in postgresql.conf: `fsync=off`.
    """
    programs = _programs()
    if programs is None:
        raise RuntimeError(why_no_server())
    # Sockets have short paths, and the server's user has to get in.
    folder = Path(tempfile.mkdtemp(prefix="vfpg", dir="/tmp"))
    password = f"p@ss/{secrets.token_hex(8)}:%?"
    try:
        (folder / "password").write_text(password)
        user, group = _user()
        if user is not None:
            for path in (folder, folder / "password"):
                shutil.chown(path, user, group)
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "owner", "--pwfile", folder / "password", "--no-sync",
             "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"],
            check=True, stdout=subprocess.DEVNULL, cwd=folder, user=user, group=group,
        )  # fmt: skip
        server = PostgresServer(programs, folder, _free_port(), password, settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path | None:
    """Return the folder of the server's programs, which Debian keeps out of the way of users."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))[::-1]
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def _user() -> tuple[int | None, int | None]:
    """Return as whom to start a program, user and group: nobody else, unless this is root, whom PostgreSQL refuses."""
    if os.geteuid() == 0:
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return entry.pw_uid, entry.pw_gid
    return None, None


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
