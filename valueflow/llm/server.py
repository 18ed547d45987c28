"""Any OpenAI-compatible server: vLLM, OpenAI, Gemini, Grok, Ollama, OpenRouter and the like."""

import asyncio
import json
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator

from valueflow.llm.batches import BatchLoop
from valueflow.llm.protocol import (
    Arrived,
    Completion,
    Constraint,
    Conversation,
    PromptTooLong,
    Sampling,
    ignore_arrivals,
    one_each,
)
from valueflow.llm.turns import encodable, final_answer
from valueflow.run import InputError, Settings, nearest, plain, shorten

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

Form = Literal["vllm", "json_schema", "none"]
"""How a server is told what an answer must look like."""

NO_COMPLETION = "answer is no chat completion"

_MOST_CONNECTIONS = 1000
"""What the client's connection pool takes."""

_LONGEST_CONNECT = 10.0
"""Seconds to reach a server; an answer may take far longer than that."""

_RETRIES_OF_LIST = 2
"""The list of models is asked for before anything else: a server that is not there is told of soon."""

_LONGEST_SAID = 300

_MAY_REFUSE_FORM = (400, 404, 422, 501)
_OURS = ("model", "messages", "stream")

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_TOO_LONG = re.compile(
    r"context[ _]?(length|window|size)|exceed_context"
    r"|maximum (prompt|model|input|context) length|longer than the maximum|input token count|number of tokens allowed"
    r"|\b(prompt|input|messages?|request)\b.{0,60}\btoo (long|large)",
    re.IGNORECASE,
)
_FLAGGED = re.compile(r"moderat|flagged|violat|safety|guideline|content[ _](policy|filter)", re.IGNORECASE)
_NO_SUCH_MODEL = re.compile(
    r"\bmodel_not_found\b|not a valid model|\bmodel\b.{0,100}\b(does not exist|not found)\b", re.I
)

_log = logging.getLogger(__name__)


class ServerModel(Settings):
    """A model behind an OpenAI-compatible server, here or anywhere."""

    # A refused URL may hold a password; pydantic would quote it.
    model_config = ConfigDict(hide_input_in_errors=True)

    occupies_machine: ClassVar[bool] = False

    model: str | None = Field(None, min_length=1, description="As the server calls it; None: the only one it lists.")
    revision: str | None = Field(
        None,
        description="A label of yours; with a new one, answers kept from the server's former model no longer serve.",
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
        return ServerEngine(self, _Wording(self, self._key()), self._served, self._listed)

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
    def _listed(self) -> "_Listed":
        loop = BatchLoop("models")
        try:
            return loop.run(_list_models(self, _Wording(self, self._key())))
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


class ServerEngine:
    """A connection to a server; it lives on between batches."""

    def __init__(self, settings: ServerModel, wording: "_Wording", model: str, listed: "_Listed") -> None:
        self._settings = settings
        self._wording = wording
        self._model = model
        self._listed = listed
        self._form: Form = _form(settings, listed)
        self._unanswered_in_a_row = 0
        self._loop = BatchLoop("server")
        self._client = _connect(settings, wording.key)

    def generate(
        self,
        conversations: Sequence[Conversation],
        sampling: Sampling | Sequence[Sampling],
        arrived: Arrived = ignore_arrivals,
    ) -> list[Completion]:
        """Answer a batch; see `valueflow.llm.protocol.Engine`."""
        samplings = one_each(sampling, len(conversations))

        async def complete(index: int) -> Completion:
            return await self._complete(index, conversations[index], samplings[index])

        return self._loop.complete_all(len(conversations), complete, self._settings.concurrency, arrived)

    def close(self) -> None:
        """Close the connections; a second time does nothing."""
        if not self._client.is_closed():
            self._loop.run(self._client.close())
        self._loop.close()

    async def _complete(self, index: int, conversation: Conversation, sampling: Sampling) -> Completion:
        """Answer one conversation, without structured output where the server refuses that."""
        import openai

        form = _form_fields(sampling.constraint, self._form)
        try:
            try:
                return await self._ask(conversation, sampling, form)
            except openai.APIStatusError as error:
                if not form or error.status_code not in _MAY_REFUSE_FORM or _is_too_long(error):
                    raise
                completion = await self._ask(conversation, sampling, {})
                if not completion.error:
                    self._refused_form(error)
                return completion
        except openai.APIStatusError as error:
            return self._judge(index, error)
        except openai.APITimeoutError:
            return await self._unanswered(f"no answer within {self._settings.timeout:g} s")
        except openai.APIConnectionError:
            return await self._unanswered("connection dropped")

    async def _unanswered(self, reason: str) -> Completion:
        """Return a failed completion, or raise where no call has been answered for long.

        A server that has gone, or hangs, would let each of maybe 100,000 calls run through all its repetitions.
        """
        self._unanswered_in_a_row += 1
        if self._unanswered_in_a_row > self._settings.concurrency:
            await _list_models(self._settings, self._wording)
            raise InputError(
                f"{self._settings.base_url} has answered none of the last {self._unanswered_in_a_row} calls "
                f"({reason}); answers that are kept serve when the same command is started again"
            )
        return Completion("", error=reason)

    async def _ask(self, conversation: Conversation, sampling: Sampling, form: dict[str, object]) -> Completion:
        body = _body(self._settings, self._model, conversation, sampling, form)
        # An answer that makes no sense mostly comes from something between here and the server: it gets one more try.
        for _ in range(2):
            text = await self._client.post("/chat/completions", cast_to=str, body=body)
            self._unanswered_in_a_row = 0
            completion = _completion(text, self._settings.answer_after)
            if completion is not None:
                return completion
        return Completion("", error=NO_COMPLETION)

    def _refused_form(self, error: "APIStatusError") -> None:
        """Ask for no structured output any more; many calls may learn of it at once, one tells it."""
        if self._form != "none":
            self._form = "none"
            told = "%s refuses structured output (%s); it is asked without from now on"
            _log.warning(told, self._settings.base_url, self._wording.fault(error))

    def _judge(self, index: int, error: "APIStatusError") -> Completion:
        """Turn a refusal into the completion's error, or raise what ends the batch."""
        said = self._wording.said(error)
        if _is_too_long(error):
            raise PromptTooLong(index, said or str(error.code)) from None
        if error.code == "insufficient_quota":
            raise InputError(
                f"{self._settings.base_url} takes no more calls ({self._wording.fault(error)}); answers that are kept "
                "serve when the same command is started again"
            ) from None
        if error.status_code == 401 or (error.status_code == 403 and not _FLAGGED.search(said)):
            raise self._wording.key_refused(error) from None
        if error.status_code == 404 or (error.status_code == 400 and _NO_SUCH_MODEL.search(f"{error.code} {said}")):
            raise self._wording.no_such_model(error, self._model, self._listed.names) from None
        return Completion("", error=self._wording.fault(error))


@dataclass(frozen=True)
class _Listed:
    """What a server says of its models.

    Attributes
    ----------
    names
        Its models; none where it has no list.
    is_vllm
        Whether vLLM serves them.
    """

    names: tuple[str, ...] = ()
    is_vllm: bool = False


class _Wording:
    """Words what a server says: one line, and the key in none of it."""

    def __init__(self, settings: ServerModel, key: str) -> None:
        self.key = key
        self._variable = settings.api_key_env
        self._url = settings.base_url

    def clean(self, text: str) -> str:
        """Take the key, line breaks and control characters out of a text, and most of its length."""
        text = text.replace(self.key, "***") if self.key else text
        return shorten("".join(sign if sign.isprintable() else " " for sign in text).strip(), _LONGEST_SAID)

    def said(self, error: "APIStatusError") -> str:
        """Return the server's own words; empty where there are none for people to read."""
        return self.clean(_message(error.body))

    def fault(self, error: "APIStatusError") -> str:
        """Return a short reason for a failed call."""
        status = f"status {error.status_code}"
        if error.status_code == 429 or error.status_code >= 500:
            # These pass, and their words differ from call to call; a code such as insufficient_quota does not.
            code = str(error.code or "")
            return f"{status} ({code})" if code.isidentifier() and self.clean(code) == code else status
        said = self.said(error)
        return f"{status}: {said}" if said else status

    def key_refused(self, error: "APIStatusError") -> InputError:
        if self._variable is None:
            return InputError(
                f"{self._url} asks for a key ({self.fault(error)}); "
                "set llm.api_key_env to the NAME of the variable that holds it"
            )
        return InputError(f"{self._url} refuses the key in {self._variable} ({self.fault(error)})")

    def no_such_model(self, error: "APIStatusError", model: str, names: Sequence[str]) -> InputError:
        ordered = sorted(names, key=lambda name: -SequenceMatcher(None, model.casefold(), name.casefold()).ratio())
        hint = nearest(model, ordered) if ordered else "it lists no models; llm.base_url mostly ends in /v1"
        return InputError(f"{self._url} has no model '{model}' ({self.fault(error)}); {self.clean(hint)}")

    def not_there(self, reason: str) -> InputError:
        return InputError(
            f"GET {self._url}/models: {self.clean(reason)}; is the server running, and is llm.base_url its address?"
        )


async def _list_models(settings: ServerModel, wording: _Wording) -> _Listed:
    """Ask a server for its models; that also shows whether it is there."""
    import openai

    client = _connect(settings, wording.key).with_options(max_retries=min(settings.max_retries, _RETRIES_OF_LIST))
    try:
        text = await client.get("/models", cast_to=str)
    except openai.APITimeoutError:
        raise wording.not_there(f"no answer within {settings.timeout:g} s") from None
    except openai.APIConnectionError as error:
        raise wording.not_there(str(error.__cause__ or error)) from None
    except openai.APIStatusError as error:
        # A key may be allowed to chat and not to list.
        if error.status_code == 401 or (error.status_code == 403 and settings.model is None):
            raise wording.key_refused(error) from None
        if error.status_code == 501 or (error.status_code < 500 and error.status_code != 429):
            return _Listed()
        raise wording.not_there(wording.fault(error)) from None
    finally:
        await client.close()
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        raise wording.not_there("the answer is no JSON") from None
    entries = answer.get("data") if isinstance(answer, dict) else answer
    models = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return _Listed(
        names=tuple(entry["id"] for entry in models if isinstance(entry.get("id"), str)),
        is_vllm=any(entry.get("owned_by") == "vllm" for entry in models),
    )


def _connect(settings: ServerModel, key: str) -> "AsyncOpenAI":
    """Make a client that keeps the pace, bounds every attempt and sends no key but the given one."""
    import openai
    from aiolimiter import AsyncLimiter

    for name in ("openai", "httpx", "httpx2", "httpcore", "httpcore2"):
        # At INFO they write a line for each of maybe 100,000 calls, below that also headers.
        logging.getLogger(name).setLevel(logging.WARNING)
    pace = None if settings.requests_per_minute is None else AsyncLimiter(1, 60 / settings.requests_per_minute)
    is_openai = settings.api_key_env == "OPENAI_API_KEY"

    class Connections(openai.DefaultAsyncHttpxClient):
        # Every attempt comes through here, the client's own retries too.
        async def send(self, request: Any, **options: Any) -> Any:
            # The client also reads what is OpenAI's from the environment, which is no other server's business.
            request.headers.pop("Authorization", None)
            if key:
                request.headers["Authorization"] = f"Bearer {key}"
            if not is_openai:
                request.headers.pop("OpenAI-Organization", None)
                request.headers.pop("OpenAI-Project", None)
            if pace is not None:
                await pace.acquire()
            try:
                # The client's timeout starts anew with each byte; a server that drips would hold a call for ever.
                async with asyncio.timeout(2 * settings.timeout):
                    return await super().send(request, **options)
            except TimeoutError:
                raise openai.APITimeoutError(request) from None

    limits = openai.Timeout(settings.timeout, connect=min(settings.timeout, _LONGEST_CONNECT), pool=None)
    return openai.AsyncOpenAI(
        # Never None: the client would look for a key of its own.
        api_key=key or "none",
        base_url=settings.base_url,
        timeout=limits,
        max_retries=settings.max_retries,
        http_client=Connections(timeout=limits),
    )


def _form(settings: ServerModel, listed: _Listed) -> Form:
    if settings.structured_outputs != "auto":
        return settings.structured_outputs
    return "vllm" if listed.is_vllm else "json_schema"


def _body(
    settings: ServerModel, model: str, conversation: Conversation, sampling: Sampling, form: dict[str, object]
) -> dict[str, object]:
    """Write the body of a request; `form` is what it says of the answer's form."""
    body = {
        "model": model,
        "messages": [{"role": turn["role"], "content": encodable(turn["content"])} for turn in conversation],
        "temperature": sampling.temperature,
        "seed": sampling.seed,
        settings.token_limit_key: sampling.max_tokens + settings.reasoning_tokens,
        **form,
        **(settings.extra_body or {}),
    }
    left_out = [field for field, content in (settings.extra_body or {}).items() if content is None]
    return {field: content for field, content in body.items() if field not in left_out}


def _form_fields(constraint: Constraint | None, form: Form) -> dict[str, object]:
    """Write what a request says of its answer's form; nothing where the server's language has no word for it."""
    match constraint, form:
        case Constraint(grammar=grammar), "vllm":
            return {"structured_outputs": {"grammar": grammar}}
        case Constraint(name=name, schema=schema), "json_schema" if schema is not None:
            told = {"name": name, "strict": True, "schema": plain(schema)}
            return {"response_format": {"type": "json_schema", "json_schema": told}}
    return {}


def _completion(text: str, answer_after: str) -> Completion | None:
    """Read an answer; None where it is no chat completion."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match answer:
        case {"choices": [{"message": {**message}, **choice}, *_]}:
            content = message.get("content")
        case _:
            return None
    if content is None:
        content = ""
    if not isinstance(content, str):
        return None
    finish = choice.get("finish_reason")
    # Some servers pass on what went wrong behind them as a completion without words.
    if choice.get("error") or finish in ("error", "content_filter"):
        return Completion("", error=f"finish_reason {finish}")
    usage = answer.get("usage")
    said, cut = final_answer(encodable(content), answer_after, cut=finish == "length")
    return Completion(
        text=said,
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        cut=cut,
    )


def _count(usage: object, name: str) -> int:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and count > 0 else 0


def _is_too_long(error: "APIStatusError") -> bool:
    return error.status_code in (400, 413, 422) and bool(_TOO_LONG.search(f"{error.code} {_message(error.body)}"))


def _message(body: object) -> str:
    """Find the words in the body of a refusal; servers put them in different places."""
    match body:
        case str():
            return "" if body.lstrip().startswith("<") else body
        case [first, *_]:
            return _message(first)
        case {"message": str() as message}:
            return message
        case {"error": inner} | {"detail": inner} | {"msg": inner}:
            return _message(inner)
    return ""
