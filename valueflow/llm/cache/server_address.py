"""The URL of a PostgreSQL server: checked, shown without its password, and what went wrong with it in one line."""

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from valueflow.run import InputError

if TYPE_CHECKING:
    import psycopg

URL_VARIABLE = "VALUEFLOW_CACHE_URL"

_FORM = "postgresql://USER@HOST:5432/DATABASE"

_URL = re.compile(r"postgres(ql)?://([^@/?\s]*@)?[^@/?\s]*(/[^@?\s]*)?(\?[^@\s]*)?")
"""With one @ at most, before the host: what follows an @ or / in a password would be read as the host, and shown."""

_PATIENCE = {
    "connect_timeout": 20,
    # A server that is gone without a word is given up after a minute and a half, not after the hours of TCP.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 6,
    "tcp_user_timeout": 90_000,
}
"""Seconds and, of `tcp_user_timeout`, milliseconds; the URL may give others."""

_REMEDY = f"check {URL_VARIABLE} and the server, or unset it to use a cache on this machine, or give cache=off"


class ServerAddress:
    """Where a server is and how to connect to it.

    Attributes
    ----------
    shown
        The URL with user, host, port and database, and nothing else.
    options
        What libpq is told, the password included.

    Raises
    ------
    InputError
        It is no URL of a PostgreSQL server, or the package that speaks to one is not installed.
    """

    def __init__(self, url: str) -> None:
        scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", url)
        if scheme is not None and scheme[1] not in ("postgresql", "postgres"):
            raise InputError(f"{URL_VARIABLE} begins with '{scheme[0]}'; it must look like {_FORM}")
        try:
            import psycopg  # noqa: F401
        except ImportError as error:
            # Either it is missing, or the client library that it stands on; the extra has both.
            raise InputError(
                f"{URL_VARIABLE} is set, which needs the package psycopg with its library: "
                f"pip install 'valueflow[postgres]', or unset it to use a cache on this machine"
            ) from error
        # The database may have any encoding; what is sent and comes back is Python's text.
        self.options: dict[str, Any] = _PATIENCE | _parsed(url) | {"client_encoding": "UTF8"}
        self.shown = _without_secrets(self.options)

    def explain(self, error: "psycopg.Error") -> InputError:
        """Say in a line what an error of the server, or of the way to it, means, and what to do."""
        # What libpq and servers say names user, host and database; they never repeat a password.
        reason = " ".join(str(error).split()) or type(error).__name__
        return self.unusable(reason)

    def unusable(self, reason: str) -> InputError:
        """Say in a line why the cache cannot be used, and what to do."""
        return InputError(f"the cache at {self.shown} cannot be used: {reason}; {_REMEDY}")


def _parsed(url: str) -> dict[str, Any]:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    # Nothing of the URL is repeated in these messages: where it is not understood, any part of it may be the password.
    wrong = InputError(
        f"{URL_VARIABLE} is no URL of a PostgreSQL server; it must look like {_FORM}, and a password in it has @ : / ? "
        f"# and % written as %40 %3A %2F %3F %23 and %25"
    )
    if not _URL.fullmatch(url):
        raise wrong
    try:
        given = conninfo_to_dict(url)
    except (ProgrammingError, UnicodeError):
        raise wrong from None
    ports = str(given.get("port", "")).split(",")
    if not all(port == "" or (port.isascii() and port.isdigit() and 0 < int(port) < 65536) for port in ports):
        raise wrong
    return given


def _without_secrets(options: dict[str, Any]) -> str:
    # Listed is what is shown, not what is left out: libpq has several options that hold secrets, and gets new ones.
    user, host, port, name = (str(options.get(key, "")) for key in ("user", "host", "port", "dbname"))
    host = host or str(options.get("hostaddr", ""))
    before = f"{quote(user)}@" if user else ""
    if host.startswith("/"):  # the folder of a socket
        where = urlencode({"host": host} | ({"port": port} if port else {}), safe="/")
        return f"postgresql://{before}/{quote(name)}?{where}"
    hosts = ",".join(f"[{one}]" if ":" in one else quote(one) for one in host.split(","))
    return f"postgresql://{before}{hosts}{f':{port}' if port else ''}{f'/{quote(name)}' if name else ''}"
