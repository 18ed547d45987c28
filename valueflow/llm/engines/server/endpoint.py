"""One server: asked for completions, it shows what it does not take, and is asked without that from then on."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

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
from valueflow.llm.protocol import Completion, Conversation, PromptTooLong, Sampling
from valueflow.run import InputError

if TYPE_CHECKING:
    from openai import APIStatusError

    from valueflow.llm.engines.server.settings import ServerModel

NO_COMPLETION = "answer is no chat completion"

_MAY_REFUSE = (400, 404, 422, 501)

_log = logging.getLogger(__name__)


class Endpoint:
    """A connection to one server.

    Parameters
    ----------
    settings
        How to ask.
    errors
        Words its faults; it has the address and the key.
    model
        As the server calls it.
    listed
        What the server has listed.
    max_retries
        Times a call is repeated here after a passing fault.
    """

    def __init__(
        self, settings: "ServerModel", errors: ServerErrors, model: str, listed: ListedModels, max_retries: int
    ) -> None:
        self.errors = errors
        self._settings = settings
        self._model = model
        self._listed = listed
        self._form: Form = _form(settings, listed)
        self._gives_logprobs = True
        self._client = connect(settings, errors, max_retries)

    @property
    def url(self) -> str:
        """Where the server's API begins."""
        return self.errors.url

    async def complete(self, conversation: Conversation, sampling: Sampling) -> Completion:
        """Ask for a completion: for log-probabilities and structured output, without what the server refuses.

        Raises
        ------
        openai.APIError
            The server refuses, is silent or not there; `refused` says what a refusal means.
        """
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

    def refused(self, index: int, error: "APIStatusError") -> Completion:
        """Turn a refusal into the completion's error, or raise what ends the batch."""
        if is_too_long(error):
            raise PromptTooLong(index, self.errors.quote(error) or str(error.code)) from None
        if is_used_up(error):
            raise self.errors.used_up(error) from None
        if setting := setting_instead(error):
            raise InputError(
                f"model '{self._model}' does not take the request ({self.errors.fault(error)}); give {setting}"
            ) from None
        if is_refused_key(error):
            raise self.errors.key_refused(error) from None
        if is_missing_model(error):
            raise self.errors.no_such_model(error, self._model, self._listed.names) from None
        return Completion("", error=self.errors.fault(error))

    async def check_there(self) -> None:
        """Look whether the server is there; raises `InputError` where it is not."""
        await list_models(self._settings, self.errors)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return bool(self._client.is_closed())

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _ask(self, conversation: Conversation, sampling: Sampling, more: dict[str, object]) -> Completion:
        body = request_body(self._settings, self._model, conversation, sampling, more)
        # An answer that makes no sense mostly comes from something between here and the server: it gets one more try.
        for _ in range(2):
            text = await self._client.post("/chat/completions", cast_to=str, body=body)
            completion = read_completion(text, self._settings.answer_after)
            if completion is not None:
                # Where the server says why there is none, it may quote its request.
                return (
                    replace(completion, error=self.errors.clean(completion.error)) if completion.error else completion
                )
        return Completion("", error=NO_COMPLETION)

    def _learn(self, error: "APIStatusError", *, form: bool, logprobs: bool) -> None:
        """Ask no more for what the server has refused; many calls may learn of it at once, one logs it."""
        message = "%s refuses %s (%s); it is asked without from now on"
        if form and self._form != "none":
            self._form = "none"
            _log.warning(message, self.url, "structured output", self.errors.fault(error))
        if logprobs and self._gives_logprobs:
            self._gives_logprobs = False
            _log.warning(message, self.url, "log-probabilities", self.errors.fault(error))


def _form(settings: "ServerModel", listed: ListedModels) -> Form:
    if settings.structured_outputs != "auto":
        return settings.structured_outputs
    return "vllm" if listed.is_vllm else "json_schema"
