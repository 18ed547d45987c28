"""Transformers in this process: small models on any machine, in padded batches whose answers do not depend on them."""

import hashlib
import logging
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from valueflow.llm.engines.chat_template import check_lengths, prompt_tokens, reason
from valueflow.llm.engines.constrained import Grammars
from valueflow.llm.engines.first_tokens import FirstTokens
from valueflow.llm.engines.packaged import PACKAGED
from valueflow.llm.engines.thoughts import final_answer
from valueflow.llm.engines.weights import find_model, model_identity
from valueflow.llm.protocol import Arrivals, Completion, Conversation, Sampling, Stream, one_each
from valueflow.run import InputError, PositiveInt, Settings, without_library_bars

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)


class TransformersModel(Settings):
    """A model that transformers runs in this process, on a GPU or without one."""

    occupies_machine: ClassVar[bool] = True

    model: str
    revision: str | None = None
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    device: str | None = None
    batch_size: PositiveInt = 16
    max_length: PositiveInt | None = None
    structured_outputs: bool = True
    chat_template_kwargs: dict[str, Any] | None = None
    reasoning_tokens: int = Field(0, ge=0, strict=True)
    answer_after: str = ""

    def identity(self) -> dict[str, object]:
        """Return what decides the answers; device and batch size do not."""
        return {
            "engine": "transformers",
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

    def start(self) -> "TransformersEngine":
        """Load the model.

        Raises
        ------
        InputError
            The model is not there, has no chat template, takes less than `max_length`, or the device is not there.
        """
        source = find_model(self.model)
        from transformers import AutoModelForCausalLM, AutoTokenizer

        device = _device(self.device)
        with without_library_bars():
            try:
                tokenizer = AutoTokenizer.from_pretrained(source, revision=self.revision, trust_remote_code=False)
                model = AutoModelForCausalLM.from_pretrained(
                    source, revision=self.revision, dtype=self.dtype, trust_remote_code=False
                ).to(device)
            except Exception as error:  # anything from a hub's HTTP error to a broken folder or too little memory
                raise InputError(
                    f"model '{self.model}' could not be loaded ({reason(error)}); give a folder, a GGUF file, a name "
                    f"on the hub, or a packaged model: {', '.join(PACKAGED)}"
                ) from error
        if tokenizer.chat_template is None:
            raise InputError(
                f"model '{self.model}' has no chat template, so it takes no conversations; give the instruction-tuned "
                "version of it"
            )
        return TransformersEngine(self, tokenizer, model)


class TransformersEngine:
    """A loaded model that answers batch by batch, the longest prompts first.

    In float32 an answer does not depend on the batch it is in. In 16 bits, rounding differs with the size of a batch,
    and where two tokens are almost equally likely the other one may win.
    """

    def __init__(self, settings: TransformersModel, tokenizer: Any, model: Any) -> None:
        from transformers import GenerationConfig

        self._settings = settings
        self._tokenizer = tokenizer
        self._model = model
        self._batch_size = settings.batch_size
        self._longest = _longest(settings, tokenizer, model)
        self._ends = _ends(tokenizer, model)
        self._grammars = Grammars(tokenizer, self._ends)
        self._padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(self._ends, default=0)
        # A model's own configuration may hold penalties and filters, which would change even the likeliest token.
        model.generation_config = GenerationConfig(eos_token_id=sorted(self._ends), pad_token_id=self._padding)
        self._hidden = {
            token
            for token, added in tokenizer.added_tokens_decoder.items()
            # Where the marker of an answer is a special token, it must be seen to be found.
            if added.special and added.content != settings.answer_after
        }

    def stream(self, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling]) -> Stream:
        """Answer a batch; see `valueflow.llm.protocol.Streaming`."""
        return Stream(self._groups(conversations, one_each(sampling, len(conversations))))

    def _groups(
        self, conversations: Sequence[Conversation], samplings: Sequence[Sampling]
    ) -> Generator[Arrivals, None, None]:
        prompts = prompt_tokens(
            self._tokenizer, conversations, self._settings.model, self._settings.chat_template_kwargs
        )
        answer_tokens = [drawn.max_tokens + self._settings.reasoning_tokens for drawn in samplings]
        check_lengths(prompts, answer_tokens, self._longest)
        # Prompts of similar length share a batch, so that little is padding. Answers in a batch have the same limit:
        # one that may be longer would let all others run on.
        waiting: dict[int, list[int]] = {}
        for index in sorted(range(len(prompts)), key=lambda index: -len(prompts[index])):
            waiting.setdefault(answer_tokens[index], []).append(index)
        while waiting:
            # What needs most memory comes first.
            limit = max(waiting, key=lambda limit: len(prompts[waiting[limit][0]]) + limit)
            longest = len(prompts[waiting[limit][0]])
            # A prompt of less than half the longest's length would be mostly padding: it waits for its like.
            batch = [index for index in waiting[limit][: self._batch_size] if 2 * len(prompts[index]) >= longest]
            answers = self._answers([prompts[index] for index in batch], [samplings[index] for index in batch], limit)
            if answers is None:
                self._batch_size = self._halved(len(batch), longest + limit)
                continue
            del waiting[limit][: len(batch)]
            if not waiting[limit]:
                del waiting[limit]
            yield [
                (index, self._completion(len(prompts[index]), answer, limit, logprobs))
                for index, answer, logprobs in zip(batch, *answers, strict=True)
            ]

    def close(self) -> None:
        """Give back the memory."""
        import torch

        self._model = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _answers(
        self, prompts: list[list[int]], samplings: list[Sampling], limit: int
    ) -> tuple[list[list[int]], list[dict[str, float] | None]] | None:
        """Return the tokens after each prompt, padding included, and the log-probabilities of the first ones.

        None where memory does not suffice.
        """
        import torch
        from transformers import GenerationConfig

        width = max(len(prompt) for prompt in prompts)
        rows = [[self._padding] * (width - len(prompt)) + prompt for prompt in prompts]
        attention = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        device = self._model.device
        # What a model writes first may be thoughts.
        counts = [0 if self._settings.answer_after else drawn.top_logprobs for drawn in samplings]
        first_tokens = FirstTokens(counts) if any(counts) else None
        processors: list[Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = []
        processors += [] if first_tokens is None else [first_tokens]
        temperatures = [drawn.temperature for drawn in samplings]
        if any(temperature > 0 for temperature in temperatures):
            processors.append(_draw(_generators(prompts, [drawn.seed for drawn in samplings]), temperatures))
        if self._settings.structured_outputs:
            mask = self._grammars.mask([drawn.constraint for drawn in samplings])
            processors += [] if mask is None else [mask]
        try:
            with torch.inference_mode():
                tokens = self._model.generate(
                    torch.tensor(rows, device=device),
                    attention_mask=torch.tensor(attention, device=device),
                    generation_config=GenerationConfig(do_sample=False, max_new_tokens=limit),
                    logits_processor=processors,
                )
        except torch.OutOfMemoryError:
            return None
        logprobs: list[dict[str, float] | None] = [None] * len(prompts)
        if first_tokens is not None:
            logprobs = first_tokens.logprobs(self._tokenizer)
        return tokens[:, width:].tolist(), logprobs

    def _halved(self, size: int, longest: int) -> int:
        import torch

        if size == 1:
            raise InputError(
                f"model '{self._settings.model}': the memory of {self._model.device} does not take one conversation of "
                f"{longest:,} tokens; use llm.dtype=bfloat16, a smaller model or shorter texts"
            )
        torch.cuda.empty_cache()
        if self._batch_size == self._settings.batch_size:
            _log.warning("out of memory with %d conversations at once; going on with fewer", size)
        return size // 2

    def _completion(
        self, prompt_tokens: int, answer: list[int], limit: int, logprobs: dict[str, float] | None
    ) -> Completion:
        length = next((place + 1 for place, token in enumerate(answer) if token in self._ends), len(answer))
        ended = length > 0 and answer[length - 1] in self._ends
        shown = [token for token in answer[:length] if token not in self._hidden]
        text, truncated = final_answer(
            self._tokenizer.decode(shown), self._settings.answer_after, truncated=length == limit and not ended
        )
        return Completion(
            text=text,
            prompt_tokens=prompt_tokens,
            completion_tokens=length,
            truncated=truncated,
            logprobs=logprobs,
        )


def _generators(prompts: Sequence[Sequence[int]], seeds: Sequence[int]) -> list[np.random.Generator]:
    """Return where each conversation's draws come from, the same whatever stands beside it."""
    pairs = zip(seeds, prompts, strict=True)
    keys = (hashlib.sha256(f"{seed} {list(prompt)}".encode()).digest() for seed, prompt in pairs)
    return [np.random.default_rng(int.from_bytes(key, "big")) for key in keys]


def _draw(
    generators: Sequence[np.random.Generator], temperatures: Sequence[float]
) -> Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]:
    """Return a logits processor after which the highest score is a draw from softmax(logits / temperature).

    Every token gets Gumbel noise of its own (Gumbel 1954, "Statistical theory of extreme values"). Looking a single
    uniform number up in the cumulative probabilities would be cheaper, but there the rounding of all tokens adds up:
    in batches of another size, one draw in a few hundred fell on the token next to it.

    Parameters
    ----------
    generators
        One a row.
    temperatures
        One a row; one of 0 is left alone, its highest score the likeliest token's.
    """
    import torch

    drawn = [row for row, temperature in enumerate(temperatures) if temperature > 0]

    def with_noise(_: "torch.Tensor", logits: "torch.Tensor") -> "torch.Tensor":
        # Made on the CPU, so that draws are the same on every device; -log of an exponential draw is a Gumbel draw.
        waits = np.stack([generators[row].standard_exponential(logits.shape[-1]) for row in drawn])
        noise = torch.from_numpy(-np.log(np.maximum(waits, np.finfo(float).tiny)))
        # Apple's GPUs know no double precision.
        precise = torch.float32 if logits.device.type == "mps" else torch.float64
        scales = torch.tensor([[temperatures[row]] for row in drawn], dtype=precise, device=logits.device)
        scores = logits.to(precise, copy=True)
        scores[drawn] = scores[drawn] / scales + noise.to(logits.device, precise)
        return scores

    return with_noise


def _device(asked: str | None) -> "torch.device":
    import torch

    if asked is None:
        best = torch.accelerator.current_accelerator(check_available=True)
        return best if best is not None and best.type in ("cuda", "mps") else torch.device("cpu")
    try:
        device = torch.device(asked)
        torch.empty(1, device=device)
    except Exception as error:  # no such kind, no such number, no driver: each of its own type
        raise InputError(f"llm.device={asked}: {reason(error)}; use cuda, cuda:1, mps or cpu, or null") from error
    return device


def _longest(settings: TransformersModel, tokenizer: Any, model: Any) -> int | None:
    """Return the most tokens of prompt and answer, None where nobody knows a limit."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    # Tokenizers that know no limit name an astronomical number.
    most = positions or (tokenizer.model_max_length if tokenizer.model_max_length < 10**9 else None)
    if settings.max_length is None or most is None:
        return settings.max_length or most
    if settings.max_length > most:
        raise InputError(f"llm.max_length={settings.max_length}: model '{settings.model}' takes at most {most} tokens")
    return settings.max_length


def _ends(tokenizer: Any, model: Any) -> set[int]:
    """Return the tokens that end an answer: those that the model's configuration names, and the tokenizer's."""
    named = model.generation_config.eos_token_id
    ends = {named} if isinstance(named, int) else set(named or ())
    return ends | ({tokenizer.eos_token_id} - {None})
