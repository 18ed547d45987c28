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
    base_url: str | list[str]
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

    @field_validator("base_url", mode="before")
    @classmethod
    def _check_urls(cls, given: Any) -> Any:
        if not isinstance(given, list | tuple):
            return cls._checked_url(given)
        urls = [cls._checked_url(url) for url in given]
        if not urls:
            raise ValueError("is an empty list; give one server or more")
        twice = next((url for url in urls if urls.count(url) > 1), None)
        if twice is not None:
            raise ValueError(f"names {twice} twice")
        return urls

    @staticmethod
    def _checked_url(base_url: Any) -> str:
        if not isinstance(base_url, str):
            raise ValueError("is no URL; give http(s)://HOST[:PORT]/PATH, or a list of these")
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

        Where `model` is None, the servers are asked for their one model, once.

        Raises
        ------
        InputError
            The server had to be asked, and cannot be reached or lists more than one model.
        """
        decisive = {
            "revision",
            # Servers of a list are one model in several places: which one answers, or joins them later, is no matter.
            *(("base_url",) if isinstance(self.base_url, str) else ()),
            "structured_outputs",
            "token_limit_key",
            "reasoning_tokens",
            "answer_after",
            "extra_body",
        }
        return {"engine": "openai", "model": self._served, **self.model_dump(include=decisive)}

    def start(self) -> "ServerEngine":
        """Look whether the servers are there; one of several is enough.

        Raises
        ------
        InputError
            The key's variable is not set, nothing answers at the address, or the key is refused.
        """
        from valueflow.llm.engines.server.endpoint import Endpoint
        from valueflow.llm.engines.server.engine import ServerEngine

        key, found = self._key(), self._listed
        # One that is not there yet is taken to be like the others.
        alike = next(listed for listed in found if isinstance(listed, ListedModels))
        endpoints = [
            Endpoint(
                self,
                ServerErrors(self, url, key),
                self._served,
                listed if isinstance(listed, ListedModels) else alike,
                # What one of several does not answer is asked of another.
                self.max_retries if len(found) == 1 else 0,
            )
            for url, listed in zip(self._urls, found, strict=True)
        ]
        missing = {place: str(fault) for place, fault in enumerate(found) if isinstance(fault, InputError)}
        return ServerEngine(self, endpoints, missing)

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
                f"the environment variable {self.api_key_env} is not set; it must hold the key of "
                f"{', '.join(self._urls)}"
            )
        if not (key.isascii() and key.isprintable()):
            raise InputError(f"the environment variable {self.api_key_env} holds characters that no key has")
        return key

    @property
    def _urls(self) -> tuple[str, ...]:
        return (self.base_url,) if isinstance(self.base_url, str) else tuple(self.base_url)

    # Cached properties take no part in the equality of settings: the same settings mean the same engine.
    @cached_property
    def _listed(self) -> "tuple[ListedModels | InputError, ...]":
        """What each server lists, or why it does not; one at least does."""
        loop = EventLoop("models")
        try:
            found = tuple(loop.call(_listed_or_fault, self, ServerErrors(self, url, self._key())) for url in self._urls)
        finally:
            loop.close()
        faults = [fault for fault in found if isinstance(fault, InputError)]
        if len(faults) == len(found):
            raise faults[0]
        return found

    @cached_property
    def _served(self) -> str:
        """The model's name: the given one, else the only one that the servers list."""
        if self.model is not None:
            return self.model
        listed = [found.names for found in self._listed if isinstance(found, ListedModels)]
        names = tuple(dict.fromkeys(name for names in listed for name in names))
        where = ", ".join(self._urls)
        if len(names) == 1:
            return names[0]
        if not names:
            raise InputError(f"{where} lists no models; name one with llm.model=NAME")
        raise InputError(f"{where} lists {len(names)} models; choose one with llm.model=NAME: {', '.join(names)}")


async def _listed_or_fault(settings: ServerModel, errors: ServerErrors) -> ListedModels | InputError:
    try:
        return await list_models(settings, errors)
    except InputError as fault:
        return fault
