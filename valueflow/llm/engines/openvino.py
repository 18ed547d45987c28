"""OpenVINO in this process: models of some billion parameters on a CPU, by continuous batching and prefix caching."""

import hashlib
import importlib.util
import logging
from collections import deque
from collections.abc import Collection, Generator, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from valueflow.llm.engines.chat_template import (
    check_lengths,
    marks_are_special,
    opened_thoughts,
    prompt_tokens,
    reason,
)
from valueflow.llm.engines.first_tokens import by_text
from valueflow.llm.engines.openvino_files import openvino_files
from valueflow.llm.engines.thoughts import read_answer
from valueflow.llm.engines.weights import model_identity
from valueflow.llm.protocol import Arrivals, Completion, Constraint, Conversation, Sampling, Stream, one_each
from valueflow.run import InputError, PositiveInt, Settings

if TYPE_CHECKING:
    from openvino_genai import ContinuousBatchingPipeline, GenerationConfig, GenerationHandle

_log = logging.getLogger(__name__)

_EXACT = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
}
"""Properties under which nothing is rounded for speed; by itself OpenVINO rounds activations, keys and values."""


class OpenvinoModel(Settings):
    """A model that OpenVINO runs on this machine's CPU: a GGUF file, or a folder in OpenVINO's own format."""

    occupies_machine: ClassVar[bool] = True

    model: str
    revision: str | None = None
    dtype: Literal["auto", "float32"] = "auto"
    batch_size: PositiveInt = 16
    max_length: PositiveInt | None = None
    structured_outputs: bool = True
    chat_template_kwargs: dict[str, Any] | None = None
    reasoning_tokens: int = Field(0, ge=0, strict=True)
    answer_after: str = ""

    def identity(self) -> dict[str, object]:
        """Return what decides the answers; the batch size does not."""
        return {
            "engine": "openvino",
            **model_identity(self.model, self.revision),
            **self.model_dump(
                include={
                    "dtype",
                    "max_length",
                    "structured_outputs",
                    "chat_template_kwargs",
                    "reasoning_tokens",
                    "answer_after",
                }
            ),
        }

    def start(self) -> "OpenvinoEngine":
        """Load the model.

        Raises
        ------
        InputError
            OpenVINO is not installed; the model is not there, has no chat template, takes less than `max_length`, or is
            of a kind that OpenVINO cannot run.
        """
        if importlib.util.find_spec("openvino_genai") is None:
            raise InputError(
                f"model '{self.model}' is to be run by OpenVINO, which is not installed: pip install "
                "'valueflow[openvino]', or llm=transformers, which needs nothing else and is slower"
            )
        files = openvino_files(self.model, self.revision)
        from openvino_genai import ContinuousBatchingPipeline, SchedulerConfig
        from transformers import AutoTokenizer

        scheduler = SchedulerConfig()
        scheduler.max_num_seqs = self.batch_size
        scheduler.enable_prefix_caching = True
        try:
            tokenizer = AutoTokenizer.from_pretrained(files.tokenizer, trust_remote_code=False)
            longest = _longest(self, files.tokenizer)
            pipeline = ContinuousBatchingPipeline(
                files.weights, scheduler, "CPU", _EXACT if self.dtype == "float32" else {}
            )
        except InputError:
            raise
        except Exception as error:  # a damaged file, a kind of model that it does not know, too little memory
            raise InputError(f"OpenVINO cannot run model '{self.model}': {reason(error)}") from error
        if tokenizer.chat_template is None:
            raise InputError(
                f"model '{self.model}' has no chat template, so it takes no conversations; give the instruction-tuned "
                "version of it"
            )
        return OpenvinoEngine(self, tokenizer, _ends(tokenizer, files.tokenizer), pipeline, longest)


class OpenvinoEngine:
    """A model loaded into OpenVINO; a conversation that is answered makes room for the next one.

    Each conversation has draws of its own, made by the library from a seed that is hashed from the sampling's and the
    prompt. In float32 an answer does not depend on its company. With `dtype=auto` rounding differs with what is
    computed together, and where two tokens are almost equally likely the other one may win.

    The library reports the log-probability of a chosen token only. Those of an answer's first tokens come from a beam
    search that ends after one token: its beams are the likeliest tokens, their scores the log-probabilities. So, as on
    a server, only the likeliest are known, and only of an answer of one token without temperature and constraint.
    """

    def __init__(
        self,
        settings: OpenvinoModel,
        tokenizer: Any,
        ends: set[int],
        pipeline: "ContinuousBatchingPipeline",
        longest: int | None,
    ) -> None:
        self._settings = settings
        self._tokenizer = tokenizer
        self._ends = ends
        self._pipeline = pipeline
        self._longest = longest
        self._requests = count()
        self._is_held: dict[Constraint, bool] = {}

    def stream(self, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling]) -> Stream:
        """Answer a batch; see `valueflow.llm.protocol.Streaming`."""
        return Stream(self._groups(conversations, one_each(sampling, len(conversations))))

    def _groups(
        self, conversations: Sequence[Conversation], samplings: Sequence[Sampling]
    ) -> Generator[Arrivals, None, None]:
        prompts = prompt_tokens(
            self._tokenizer, conversations, self._settings.model, self._settings.chat_template_kwargs
        )
        limits = [drawn.max_tokens + self._settings.reasoning_tokens for drawn in samplings]
        check_lengths(prompts, limits, self._longest)
        opened = opened_thoughts(self._tokenizer, prompts[0]) if prompts else ""
        self._try_constraints({drawn.constraint for drawn in samplings if drawn.constraint is not None})
        waiting = deque(range(len(prompts)))
        under_way: dict[int, GenerationHandle] = {}
        try:
            # One goes a step ahead: what the others begin with in common with it is then computed only once.
            most = 1
            while waiting or under_way:
                while waiting and len(under_way) < most:
                    index = waiting.popleft()
                    config = self._config(samplings[index], limits[index], prompts[index])
                    request = next(self._requests)
                    under_way[index] = self._pipeline.add_request(request, _tensor(prompts[index]), config)
                self._pipeline.step()
                most = self._settings.batch_size
                ended = [index for index, handle in under_way.items() if self._has_ended(handle)]
                if ended:
                    yield [
                        (
                            index,
                            self._completion(
                                len(prompts[index]), under_way.pop(index), samplings[index], limits[index], opened
                            ),
                        )
                        for index in ended
                    ]
        finally:
            for handle in under_way.values():
                handle.cancel()
            while self._pipeline.has_non_finished_requests():
                self._pipeline.step()

    def close(self) -> None:
        """Give back the memory."""
        del self._pipeline

    def _try_constraints(self, constraints: Collection[Constraint]) -> None:
        """Try new constraints on a token each: one that cannot be read would end the batch that it comes with."""
        for constraint in constraints:
            if constraint not in self._is_held and self._settings.structured_outputs:
                self._is_held[constraint] = True
                try:
                    config = self._config(Sampling(constraint=constraint), 1, [])
                    self._pipeline.generate([_tensor([0])], [config])
                except Exception as error:  # what the library's reader of grammars raises
                    self._is_held[constraint] = False
                    _log.warning("answers are not held to '%s': %s", constraint.name, reason(error))

    def _config(self, sampling: Sampling, limit: int, prompt: Sequence[int]) -> "GenerationConfig":
        from openvino_genai import GenerationConfig, StructuredOutputConfig

        config = GenerationConfig()
        config.max_new_tokens = limit
        config.stop_token_ids = self._ends
        if _lists_tokens(sampling, limit):
            # One beam would be no search: the library scores its token with 0.
            config.num_beams = config.num_return_sequences = max(sampling.top_logprobs, 2)
        if sampling.temperature > 0:
            config.do_sample = True
            config.temperature = sampling.temperature
            config.rng_seed = _seed(prompt, sampling.seed)
        if sampling.constraint is not None and self._holds(sampling):
            config.structured_output_config = StructuredOutputConfig(grammar=sampling.constraint.grammar)
        return config

    def _has_ended(self, handle: "GenerationHandle") -> bool:
        """Return whether an answer is there.

        Raises
        ------
        InputError
            Memory does not suffice for the conversation.
        """
        from openvino_genai import GenerationStatus

        status = handle.get_status()
        if status == GenerationStatus.IGNORED:
            raise InputError(
                f"model '{self._settings.model}': the memory of this machine does not take the conversations; use a "
                "lower llm.batch_size, a smaller model or shorter texts"
            )
        return bool(status == GenerationStatus.FINISHED)

    def _holds(self, sampling: Sampling) -> bool:
        """Return whether an answer is held to its constraint."""
        return sampling.constraint is not None and self._is_held.get(sampling.constraint, False)

    def _completion(
        self, prompt_tokens: int, handle: "GenerationHandle", sampling: Sampling, limit: int, opened: str
    ) -> Completion:
        outputs = sorted(handle.read_all(), key=lambda output: -output.score)
        tokens = outputs[0].generated_ids
        ended = bool(tokens) and tokens[-1] in self._ends
        said = self._tokenizer.decode(
            tokens[:-1] if ended else tokens,
            # Where thoughts are marked by special tokens, these must be seen to be found.
            skip_special_tokens=not (self._settings.answer_after or marks_are_special(self._tokenizer)),
        )
        return read_answer(
            said,
            self._settings.answer_after,
            truncated=len(tokens) == limit and not ended,
            opened=opened,
            is_held=self._holds(sampling),
            prompt_tokens=prompt_tokens,
            completion_tokens=len(tokens),
            logprobs=by_text(
                (self._tokenizer.decode(output.generated_ids), output.score)
                for output in outputs[: sampling.top_logprobs]
            )
            if _lists_tokens(sampling, limit)
            else None,
        )


def _lists_tokens(sampling: Sampling, limit: int) -> bool:
    is_greedy = sampling.temperature == 0 and sampling.constraint is None
    return sampling.top_logprobs > 0 and limit == 1 and is_greedy


def _longest(settings: OpenvinoModel, folder: Path) -> int | None:
    """Return the most tokens of prompt and answer, None where nobody knows a limit."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    most: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
    if settings.max_length is not None and most is not None and settings.max_length > most:
        raise InputError(f"llm.max_length={settings.max_length}: model '{settings.model}' takes at most {most} tokens")
    return settings.max_length or most


def _ends(tokenizer: Any, folder: Path) -> set[int]:
    """Return the tokens that end an answer: those that the model's settings name, and the tokenizer's."""
    from transformers import GenerationConfig

    settings = GenerationConfig.from_pretrained(folder) if (folder / "generation_config.json").is_file() else None
    named = None if settings is None else settings.eos_token_id
    ends = {named} if isinstance(named, int) else set(named or ())
    return ends | ({tokenizer.eos_token_id} - {None})


def _tensor(tokens: Sequence[int]) -> Any:
    from openvino import Tensor

    return Tensor(np.array([tokens], dtype=np.int64))


def _seed(prompt: Sequence[int], seed: int) -> int:
    """Return the seed of a conversation's draws, the same whatever stands beside it; the generator takes 32 bits."""
    return int.from_bytes(hashlib.sha256(f"{seed} {list(prompt)}".encode()).digest()[:4], "big")
