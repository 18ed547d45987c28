"""Which server to ask, and how."""

import json
import os
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator

from valueflow.llm.engines.event_loop import EventLoop
from valueflow.llm.engines.server.connection import ListedModels, list_models
from valueflow.llm.engines.server.errors import ServerErrors
from valueflow.run import InputError, PositiveInt, Settings, shorten

if TYPE_CHECKING:
    from valueflow.llm.engines.server.engine import ServerEngine

_MAX_CONNECTIONS = 1000
"""What the client's connection pool takes."""

_OURS = ("model", "messages", "stream")

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


class ServerModel(Settings):
    """A model behind an OpenAI-compatible server, here or anywhere."""

    # A refused URL may hold a password; pydantic would quote it.
    model_config = ConfigDict(hide_input_in_errors=True)

    occupies_machine: ClassVar[bool] = False

    model: str | None = Field(None, min_length=1)
    revision: str | None = None
    base_url: str
    api_key_env: str | None = None
    concurrency: int = Field(64, ge=1, le=_MAX_CONNECTIONS, strict=True)
    requests_per_minute: PositiveInt | None = None
    timeout: float = Field(120.0, gt=0, allow_inf_nan=False)
    max_retries: int = Field(6, ge=0, le=100, strict=True)
    structured_outputs: Literal["auto", "vllm", "json_schema", "none"] = "auto"
    token_limit_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    reasoning_tokens: int = Field(0, ge=0, strict=True)
    answer_after: str = ""
    extra_body: dict[str, Any] | None = None

    @field_validator("base_url")
    @classmethod
    def _check_url(cls, base_url: str) -> str:
        right = "give http(s)://HOST[:PORT]/PATH, as http://localhost:8000/v1"
        try:
            parts = urlsplit(base_url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise ValueError(f"is no URL; {right}") from None
        if "@" in base_url:
            raise ValueError("holds a user name or password; name the variable that holds the key in api_key_env")
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise ValueError(f"'{shorten(base_url.partition('?')[0])}' is no address of a server; {right}")
        return base_url.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _check_variable(cls, name: str | None) -> str | None:
        # Not quoted: it may be the key itself.
        if name is not None and not _VARIABLE.fullmatch(name):
            raise ValueError(
                "give the NAME of an environment variable (capital letters, digits, _), not the key itself"
            )
        return name

    @field_validator("extra_body")
    @classmethod
    def _check_body(cls, extra_body: dict[str, Any] | None) -> dict[str, Any] | None:
        for field in _OURS:
            if field in (extra_body or {}):
                raise ValueError(f"'{field}' is set for each request by the engine; leave it out")
        try:
            json.dumps(extra_body, allow_nan=False)
        except (TypeError, ValueError):
            raise ValueError("holds something that JSON has no word for") from None
        return extra_body

    def identity(self) -> dict[str, object]:
        """Return what decides the answers.

        Where `model` is None, the server is asked for its one model, once.

        Raises
        ------
        InputError
            The server had to be asked, and cannot be reached or lists more than one model.
        """
        decisive = {
            "revision",
            "base_url",
            "structured_outputs",
            "token_limit_key",
            "reasoning_tokens",
            "answer_after",
            "extra_body",
        }
        return {"engine": "openai", "model": self._served, **self.model_dump(include=decisive)}

    def start(self) -> "ServerEngine":
        """Look whether the server is there.

        Raises
        ------
        InputError
            The key's variable is not set, nothing answers at the address, or the key is refused.
        """
        from valueflow.llm.engines.server.engine import ServerEngine

        return ServerEngine(self, ServerErrors(self, self._key()), self._served, self._listed)

    def check_startable(self) -> None:
        """Look whether the key's variable is set.

        Raises
        ------
        InputError
            It is not.
        """
        self._key()

    def _key(self) -> str:
        """Return the key, empty where none is to be sent."""
        if self.api_key_env is None:
            return ""
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            raise InputError(
                f"the environment variable {self.api_key_env} is not set; it must hold the key of {self.base_url}"
            )
        if not (key.isascii() and key.isprintable()):
            raise InputError(f"the environment variable {self.api_key_env} holds characters that no key has")
        return key

    # Cached properties take no part in the equality of settings: the same settings mean the same engine.
    @cached_property
    def _listed(self) -> ListedModels:
        loop = EventLoop("models")
        try:
            return loop.call(list_models, self, ServerErrors(self, self._key()))
        finally:
            loop.close()

    @cached_property
    def _served(self) -> str:
        """The model's name: the given one, else the only one that the server lists."""
        if self.model is not None:
            return self.model
        names = self._listed.names
        if len(names) == 1:
            return names[0]
        if not names:
            raise InputError(f"{self.base_url} lists no models; name one with llm.model=NAME")
        raise InputError(
            f"{self.base_url} lists {len(names)} models; choose one with llm.model=NAME: {', '.join(names)}"
        )
