"""A connection to a server that answers batches."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from valueflow.llm.engines.event_loop import EventLoop
from valueflow.llm.engines.server.answers import read_completion
from valueflow.llm.engines.server.connection import ListedModels, connect, list_models
from valueflow.llm.engines.server.errors import (
    ServerErrors,
    is_missing_model,
    is_refused_key,
    is_too_long,
    is_used_up,
    setting_instead,
)
from valueflow.llm.engines.server.requests import Form, form_fields, logprob_fields, request_body
from valueflow.llm.prompting import CUT_IN_THOUGHTS
from valueflow.llm.protocol import Completion, Conversation, PromptTooLong, Sampling, Stream, one_each
from valueflow.run import InputError

if TYPE_CHECKING:
    from openai import APIStatusError

    from valueflow.llm.engines.server.settings import ServerModel

NO_COMPLETION = "answer is no chat completion"

_MAY_REFUSE = (400, 404, 422, 501)

_log = logging.getLogger(__name__)


class ServerEngine:
    """A connection to a server; it lives on between batches."""

    def __init__(self, settings: "ServerModel", errors: ServerErrors, model: str, listed: ListedModels) -> None:
        self._settings = settings
        self._errors = errors
        self._model = model
        self._listed = listed
        self._form: Form = _form(settings, listed)
        self._gives_logprobs = True
        self._unanswered_in_a_row = 0
        self._loop = EventLoop("server")
        self._client = connect(settings, errors.key)

    def stream(self, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling]) -> Stream:
        """Answer a batch; see `valueflow.llm.protocol.Streaming`."""
        samplings = one_each(sampling, len(conversations))

        async def complete(index: int) -> Completion:
            return await self._complete(index, conversations[index], samplings[index])

        return self._loop.stream(len(conversations), complete, self._settings.concurrency)

    def close(self) -> None:
        """Close the connections; a second time does nothing."""
        if not self._client.is_closed():
            self._loop.call(self._client.close)
        self._loop.close()

    async def _complete(self, index: int, conversation: Conversation, sampling: Sampling) -> Completion:
        """Answer one conversation."""
        import openai

        try:
            return await self._ask_for_less(conversation, sampling)
        except openai.APIStatusError as error:
            return self._refused(index, error)
        except openai.APITimeoutError:
            return await self._unanswered(f"no answer within {self._settings.timeout:g} s")
        except openai.APIConnectionError:
            return await self._unanswered("connection dropped")

    async def _ask_for_less(self, conversation: Conversation, sampling: Sampling) -> Completion:
        """Ask for log-probabilities and structured output, without one or both where the server refuses that."""
        import openai

        form = form_fields(sampling.constraint, self._form)
        logprobs = logprob_fields(sampling.top_logprobs if self._gives_logprobs else 0)
        different = [(form, logprobs), (form, {}), ({}, logprobs), ({}, {})]
        *attempts, last = [attempt for place, attempt in enumerate(different) if attempt not in different[:place]]
        refused: APIStatusError | None = None
        for attempt in attempts:
            try:
                completion = await self._ask(conversation, sampling, attempt[0] | attempt[1])
                break
            except openai.APIStatusError as error:
                if error.status_code not in _MAY_REFUSE or is_too_long(error) or setting_instead(error):
                    raise
                refused = refused or error
        else:
            attempt = last
            completion = await self._ask(conversation, sampling, attempt[0] | attempt[1])
        if refused is not None and completion.error in ("", CUT_IN_THOUGHTS):
            self._learn(refused, form=attempt[0] != form, logprobs=attempt[1] != logprobs)
        return completion

    async def _unanswered(self, reason: str) -> Completion:
        """Return a failed completion, or raise where no call has been answered for long.

        A server that has gone, or hangs, would let each of maybe 100,000 calls run through all its repetitions.
        """
        self._unanswered_in_a_row += 1
        if self._unanswered_in_a_row > self._settings.concurrency:
            await list_models(self._settings, self._errors)
            raise InputError(
                f"{self._settings.base_url} has answered none of the last {self._unanswered_in_a_row} calls "
                f"({reason}); cached completions serve when the same command is started again"
            )
        return Completion("", error=reason)

    async def _ask(self, conversation: Conversation, sampling: Sampling, more: dict[str, object]) -> Completion:
        body = request_body(self._settings, self._model, conversation, sampling, more)
        # An answer that makes no sense mostly comes from something between here and the server: it gets one more try.
        for _ in range(2):
            text = await self._client.post("/chat/completions", cast_to=str, body=body)
            self._unanswered_in_a_row = 0
            completion = read_completion(text, self._settings.answer_after)
            if completion is not None:
                # Where the server says why there is none, it may quote its request.
                return (
                    replace(completion, error=self._errors.clean(completion.error)) if completion.error else completion
                )
        return Completion("", error=NO_COMPLETION)

    def _learn(self, error: "APIStatusError", *, form: bool, logprobs: bool) -> None:
        """Ask no more for what the server has refused; many calls may learn of it at once, one logs it."""
        message = "%s refuses %s (%s); it is asked without from now on"
        if form and self._form != "none":
            self._form = "none"
            _log.warning(message, self._settings.base_url, "structured output", self._errors.fault(error))
        if logprobs and self._gives_logprobs:
            self._gives_logprobs = False
            _log.warning(message, self._settings.base_url, "log-probabilities", self._errors.fault(error))

    def _refused(self, index: int, error: "APIStatusError") -> Completion:
        """Turn a refusal into the completion's error, or raise what ends the batch."""
        if is_too_long(error):
            raise PromptTooLong(index, self._errors.quote(error) or str(error.code)) from None
        if is_used_up(error):
            raise self._errors.used_up(error) from None
        if setting := setting_instead(error):
            raise InputError(
                f"model '{self._model}' does not take the request ({self._errors.fault(error)}); give {setting}"
            ) from None
        if is_refused_key(error):
            raise self._errors.key_refused(error) from None
        if is_missing_model(error):
            raise self._errors.no_such_model(error, self._model, self._listed.names) from None
        return Completion("", error=self._errors.fault(error))


def _form(settings: "ServerModel", listed: ListedModels) -> Form:
    if settings.structured_outputs != "auto":
        return settings.structured_outputs
    return "vllm" if listed.is_vllm else "json_schema"
