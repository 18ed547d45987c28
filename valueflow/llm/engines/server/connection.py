"""The client of a server, and the list of its models."""

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valueflow.llm.engines.server.errors import ServerErrors, is_used_up, says_used_up, status_within

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from valueflow.llm.engines.server.settings import ServerModel

_LONGEST_CONNECT = 10.0
"""Seconds to reach a server; an answer may take far longer than that."""

_RETRIES_OF_LIST = 2
"""The list of models is asked for before anything else: that a server is not there is to be known soon."""


@dataclass(frozen=True)
class ListedModels:
    """The names that a server lists, none where it has no list, and whether vLLM serves them."""

    names: tuple[str, ...] = ()
    is_vllm: bool = False


async def list_models(settings: "ServerModel", errors: ServerErrors) -> ListedModels:
    """Ask a server for its models; that also shows whether it is there."""
    import openai

    client = connect(settings, errors, min(settings.max_retries, _RETRIES_OF_LIST))
    try:
        text = await client.get("/models", cast_to=str)
    except openai.APITimeoutError:
        raise errors.not_there(f"no answer within {settings.timeout:g} s") from None
    except openai.APIConnectionError as error:
        raise errors.not_there(str(error.__cause__ or error)) from None
    except openai.APIStatusError as error:
        if is_used_up(error):
            raise errors.used_up(error) from None
        # A key may be allowed to chat and not to list.
        if error.status_code == 401 or (error.status_code == 403 and settings.model is None):
            raise errors.key_refused(error) from None
        if error.status_code == 501 or (error.status_code < 500 and error.status_code != 429):
            return ListedModels()
        raise errors.not_there(errors.fault(error)) from None
    finally:
        await client.close()
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        raise errors.not_there("the answer is no JSON") from None
    entries = answer.get("data") if isinstance(answer, dict) else answer
    models = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return ListedModels(
        names=tuple(entry["id"] for entry in models if isinstance(entry.get("id"), str)),
        is_vllm=any(entry.get("owned_by") == "vllm" for entry in models),
    )


def connect(settings: "ServerModel", errors: ServerErrors, max_retries: int) -> "AsyncOpenAI":
    """Make a client that keeps the pace, bounds every attempt and sends no key but the given one."""
    import openai
    from aiolimiter import AsyncLimiter

    for name in ("openai", "httpx", "httpx2", "httpcore", "httpcore2"):
        # At INFO they write a line for each of maybe 100,000 calls, below that also headers.
        logging.getLogger(name).setLevel(logging.WARNING)
    key = errors.key
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
                    response = await super().send(request, **options)
            except TimeoutError:
                raise openai.APITimeoutError(request) from None
            if response.status_code == 200 and (status := status_within(response.content)):
                # The client then repeats it, waits or gives up as it does where the server says so itself.
                response.status_code = status
            if response.status_code == 429 and says_used_up(response.text):
                response.headers["x-should-retry"] = "false"  # waiting does not help
            return response

    limits = openai.Timeout(settings.timeout, connect=min(settings.timeout, _LONGEST_CONNECT), pool=None)
    return openai.AsyncOpenAI(
        # Never None: the client would look for a key of its own.
        api_key=key or "none",
        base_url=errors.url,
        timeout=limits,
        max_retries=max_retries,
        http_client=Connections(timeout=limits),
    )
