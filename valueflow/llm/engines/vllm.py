"""vLLM in this process: continuous batching, prefix caching, constrained answers, several GPUs."""

import asyncio
import importlib.util
import logging
import os
import uuid
import warnings
from collections.abc import Generator, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from valueflow.llm.engines.chat_template import (
    check_lengths,
    marks_are_special,
    opened_thoughts,
    prompt_tokens,
    reason,
)
from valueflow.llm.engines.event_loop import EventLoop
from valueflow.llm.engines.first_tokens import by_text
from valueflow.llm.engines.thoughts import read_answer
from valueflow.llm.engines.vocabulary import Vocabulary
from valueflow.llm.engines.weights import find_model, model_identity
from valueflow.llm.protocol import Arrivals, Completion, Conversation, Sampling, Stream, one_each
from valueflow.run import InputError, PositiveInt, Settings

_CONCURRENCY = 4096
"""Conversations handed to the engine at once: several times what it decodes together, so that it never waits."""

_SECONDS_TO_END = 20.0


class VllmModel(Settings):
    """A model that vLLM runs on this machine's GPUs (or, with its CPU build, on the CPU)."""

    occupies_machine: ClassVar[bool] = True

    model: str
    revision: str | None = None
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    quantization: str | None = None
    tensor_parallel_size: PositiveInt = 1
    data_parallel_size: PositiveInt = 1
    max_model_len: PositiveInt | None = None
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1)
    enable_prefix_caching: bool = True
    enforce_eager: bool = False
    structured_outputs: bool = True
    chat_template_kwargs: dict[str, Any] | None = None
    reasoning_tokens: int = Field(0, ge=0, strict=True)
    answer_after: str = ""
    engine_args: dict[str, Any] | None = None

    def identity(self) -> dict[str, object]:
        """Return what decides the answers; how many GPUs compute them does not."""
        return {
            "engine": "vllm",
            **model_identity(self.model, self.revision),
            **self.model_dump(
                include={
                    "dtype",
                    "quantization",
                    "max_model_len",
                    "structured_outputs",
                    "chat_template_kwargs",
                    "reasoning_tokens",
                    "answer_after",
                    "engine_args",
                }
            ),
        }

    def check_startable(self) -> None:
        """Look whether vLLM is installed.

        Raises
        ------
        InputError
            It is not.
        """
        if importlib.util.find_spec("vllm") is None:
            raise InputError(
                f"model '{self.model}' is to be run by vLLM, which is not installed: pip install 'valueflow[vllm]' on "
                "a machine with a GPU, or ask a server (llm=local, llm=openai), or llm=smollm2 to try things out"
            )

    def start(self) -> "VllmEngine":
        """Load the model.

        Raises
        ------
        InputError
            vLLM is not installed, the model is not there, or vLLM cannot run it here.
        """
        self.check_startable()
        source = find_model(self.model)
        if (self.engine_args or {}).get("trust_remote_code"):
            raise InputError("llm.engine_args.trust_remote_code: code of a model is never run; leave it out")
        # Read when vLLM is imported; a user's own level stands. Its loggers are set up only later.
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own and its libraries' notes to their developers
            return self._started(source)

    def _started(self, source: str) -> "VllmEngine":
        from vllm.engine.arg_utils import AsyncEngineArgs

        loop = EventLoop("vllm")
        try:
            arguments = AsyncEngineArgs(
                model=source,
                revision=self.revision,
                enable_log_requests=False,
                disable_log_stats=True,
                use_tqdm_on_load=False,
                **self.model_dump(
                    include={
                        "dtype",
                        "quantization",
                        "tensor_parallel_size",
                        "data_parallel_size",
                        "max_model_len",
                        "gpu_memory_utilization",
                        "enable_prefix_caching",
                        "enforce_eager",
                    }
                ),
                **(self.engine_args or {}),
            )
            return VllmEngine(self, loop, loop.call(_engine, arguments))
        except Exception as error:  # a wrong argument, no such model, no GPU, too little memory: vLLM says which
            loop.close()
            raise InputError(f"vLLM cannot run model '{self.model}': {reason(error)}") from error


class VllmEngine:
    """A model loaded into vLLM; answers arrive one by one while the batch is under way."""

    def __init__(self, settings: VllmModel, loop: EventLoop, engine: Any) -> None:
        self._settings = settings
        self._loop = loop
        self._engine = engine
        self._vocabulary = Vocabulary(engine.get_tokenizer(), int(engine.model_config.get_vocab_size()))

    def stream(self, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling]) -> Stream:
        """Answer a batch; see `valueflow.llm.protocol.Streaming`."""
        return Stream(self._groups(conversations, one_each(sampling, len(conversations))))

    def _groups(
        self, conversations: Sequence[Conversation], samplings: Sequence[Sampling]
    ) -> Generator[Arrivals, None, None]:
        prompts = prompt_tokens(
            self._engine.get_tokenizer(), conversations, self._settings.model, self._settings.chat_template_kwargs
        )
        opened = opened_thoughts(self._engine.get_tokenizer(), prompts[0]) if prompts else ""
        made = {different: self._parameters(different) for different in set(samplings)}
        parameters = [made[drawn] for drawn in samplings]
        answer_tokens = [requests[0].max_tokens for requests in parameters]
        check_lengths(prompts, answer_tokens, int(self._engine.model_config.max_model_len))
        # A request for certain tokens takes the likeliest ones from all others in a step of vLLM's first runner.
        certain = [bool(requests[0].logprob_token_ids) for requests in parameters]
        for kind in sorted(set(certain)):
            indices = [index for index, own in enumerate(certain) if own == kind]
            part = [(prompts[index], parameters[index]) for index in indices]
            for arrivals in self._together(part, opened):
                yield [(indices[place], completion) for place, completion in arrivals]

    def _together(
        self, asked: Sequence[tuple[list[int], Sequence[Any]]], opened: str
    ) -> Generator[Arrivals, None, None]:
        """Answer prompts, which have opened the model's thoughts by a mark or not, with their requests' parameters."""
        from vllm.inputs import tokens_input

        batch = uuid.uuid4().hex

        async def complete(index: int) -> Completion:
            prompt, parameters = asked[index]
            answering = asyncio.create_task(self._answer(tokens_input(prompt), parameters, f"{batch}-{index}", opened))
            try:
                return await asyncio.shield(answering)
            except asyncio.CancelledError:
                # Told once: anyio cancels again at every step, and vLLM needs some to drop the request.
                answering.cancel()
                raise

        with self._loop.stream(len(asked), complete, _CONCURRENCY) as answers:
            yield from answers.groups

    def close(self) -> None:
        """End vLLM's processes, which gives the memory back."""
        # The loop first: what waits there for the engine would take its end for a crash.
        self._loop.close()
        self._engine.shutdown(timeout=_SECONDS_TO_END)
        # Its own finalizer would look for modules that the end of the program may have taken away.
        self._engine = None

    def _parameters(self, sampling: Sampling) -> list[Any]:
        """Return the parameters of the request for an answer, and of others for more tokens than vLLM tells at once."""
        from vllm import SamplingParams
        from vllm.sampling_params import MAX_LOGPROB_TOKEN_IDS, RequestOutputKind, StructuredOutputsParams

        constraint = sampling.constraint if self._settings.structured_outputs else None
        # What a model writes first may be thoughts.
        tells = not self._settings.answer_after
        wanted = sampling.top_logprobs if tells else 0
        certain = self._vocabulary.beginning(sampling.words) if tells else ()
        most = int(self._engine.model_config.max_logprobs)  # -1: no limit
        whole = sampling.max_tokens + self._settings.reasoning_tokens

        def request(max_tokens: int, tokens: Sequence[int]) -> Any:
            return SamplingParams(
                temperature=sampling.temperature,
                max_tokens=max_tokens,
                # At temperature 0 nothing is drawn, and a generator a request would cost time.
                seed=sampling.seed if sampling.temperature > 0 else None,
                structured_outputs=StructuredOutputsParams(grammar=constraint.grammar) if constraint else None,
                # It takes one or the other.
                logprobs=None if tokens else (wanted if most < 0 else min(wanted, most)) or None,
                logprob_token_ids=list(tokens) or None,
                # Where thoughts are marked by special tokens, these must be seen to be found.
                skip_special_tokens=not marks_are_special(self._engine.get_tokenizer()),
                output_kind=RequestOutputKind.FINAL_ONLY,
            )

        further = range(MAX_LOGPROB_TOKEN_IDS, len(certain), MAX_LOGPROB_TOKEN_IDS)
        return [
            request(whole, certain[:MAX_LOGPROB_TOKEN_IDS]),
            *(request(1, certain[start : start + MAX_LOGPROB_TOKEN_IDS]) for start in further),
        ]

    async def _answer(self, prompt: Any, parameters: Sequence[Any], request: str, opened: str) -> Completion:
        # One after another: the later ones find the prompt's keys and values.
        outputs = [await self._output(prompt, one, f"{request}-{place}") for place, one in enumerate(parameters)]
        logprobs = _first_logprobs([output.outputs[0].logprobs for output in outputs])
        return self._completion(outputs[0], logprobs, opened, is_held=parameters[0].structured_outputs is not None)

    async def _output(self, prompt: Any, parameters: Any, request: str) -> Any:
        async for output in self._engine.generate(prompt, parameters, request):
            last = output
        return last

    def _completion(self, output: Any, logprobs: dict[str, float] | None, opened: str, *, is_held: bool) -> Completion:
        (answer,) = output.outputs
        return read_answer(
            answer.text,
            self._settings.answer_after,
            truncated=answer.finish_reason == "length",
            opened=opened,
            is_held=is_held,
            prompt_tokens=len(output.prompt_token_ids),
            completion_tokens=len(answer.token_ids),
            logprobs=logprobs,
        )


def _first_logprobs(asked: Sequence[Any]) -> dict[str, float] | None:
    """Read the log-probabilities of the first token, where any were asked for, from one or more requests."""
    tokens: dict[int, Any] = {}
    for logprobs in asked:
        tokens |= logprobs[0] if logprobs else {}
    return by_text((token.decoded_token or "", token.logprob) for token in tokens.values()) or None


async def _engine(arguments: Any) -> Any:
    """Start the engine inside the loop that it will be asked from; its own tasks belong to that loop."""
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.engine.async_llm import AsyncLLM

    # vLLM sizes its batches by who uses it: whole batches want throughput, as in its own class for them, not latency.
    return AsyncLLM.from_engine_args(arguments, usage_context=UsageContext.LLM_CLASS)
