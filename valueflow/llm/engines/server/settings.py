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
from valueflow.run import InputError, Settings, shorten

if TYPE_CHECKING:
    from valueflow.llm.engines.server.engine import ServerEngine

_MOST_CONNECTIONS = 1000
"""What the client's connection pool takes."""

_OURS = ("model", "messages", "stream")

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


class ServerModel(Settings):
    """A model behind an OpenAI-compatible server, here or anywhere."""

    # A refused URL may hold a password; pydantic would quote it.
    model_config = ConfigDict(hide_input_in_errors=True)

    occupies_machine: ClassVar[bool] = False

    model: str | None = Field(None, min_length=1, description="As the server calls it; None: the only one it lists.")
    revision: str | None = Field(
        None,
        description="A label of yours; with a new one, completions cached of the former model no longer serve.",
    )
    base_url: str = Field(description="Where the API begins; mostly ends in /v1.")
    api_key_env: str | None = Field(None, description="NAME of the environment variable with the key; None: no key.")
    concurrency: int = Field(64, ge=1, le=_MOST_CONNECTIONS, strict=True, description="Most calls under way at once.")
    requests_per_minute: int | None = Field(
        None,
        ge=1,
        strict=True,
        description="Most calls a minute, evenly spread, repeated ones counted; None: no limit.",
    )
    timeout: float = Field(
        120.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds a call may stay silent; repeated then. Twice that is its end.",
    )
    max_retries: int = Field(
        6, ge=0, le=100, strict=True, description="Times a call is repeated after a passing fault."
    )
    structured_outputs: Literal["auto", "vllm", "json_schema", "none"] = Field(
        "auto", description="How the form of answers is asked for; auto: as the server's list of models suggests."
    )
    token_limit_key: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens", description="What the server calls the most tokens of an answer."
    )
    reasoning_tokens: int = Field(
        0, ge=0, strict=True, description="Tokens a reasoning model may think, on top of those of an answer."
    )
    answer_after: str = Field(
        "", description="What a reasoning model writes before its answer, where the server does not part them."
    )
    extra_body: dict[str, Any] | None = Field(
        None, description="Further fields of each request, as {reasoning_effort: low}; null leaves a field out."
    )

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
