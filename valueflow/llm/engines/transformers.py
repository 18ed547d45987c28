"""Transformers in this process: small models on any machine, in padded batches whose answers do not depend on them."""

import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from valueflow.llm.engines.adding import adding
from valueflow.llm.engines.chat_template import check_lengths, opened_thoughts, prompt_tokens, reason
from valueflow.llm.engines.constrained import Grammars
from valueflow.llm.engines.drawing import draw, row_generators
from valueflow.llm.engines.first_tokens import FirstTokens, Wanted, first_logprobs
from valueflow.llm.engines.packaged import PACKAGED
from valueflow.llm.engines.prefix import OneToken, common_beginnings, keeps_all
from valueflow.llm.engines.residual import TransformersResidualStream
from valueflow.llm.engines.thoughts import read_answer
from valueflow.llm.engines.vocabulary import Vocabulary
from valueflow.llm.engines.weights import find_model, model_identity
from valueflow.llm.prompting import is_mark
from valueflow.llm.protocol import Arrivals, Completion, Conversation, Sampling, Stream, one_each
from valueflow.run import InputError, PositiveInt, Settings, without_library_bars

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)


class TransformersModel(Settings):
    """A model that transformers runs in this process, on a GPU or without one."""

    occupies_machine: ClassVar[bool] = True
    has_residual_stream: ClassVar[bool] = True

    model: str
    revision: str | None = None
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    device: str | None = None
    batch_size: PositiveInt = 16
    max_length: PositiveInt | None = None
    enable_prefix_caching: bool = True
    structured_outputs: bool = True
    chat_template_kwargs: dict[str, Any] | None = None
    reasoning_tokens: int = Field(0, ge=0, strict=True)
    answer_after: str = ""

    def identity(self) -> dict[str, object]:
        """Return what decides the answers; device, batch size and prefix caching do not."""
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


@dataclass(frozen=True)
class _Kind:
    """What conversations must have in common to share a batch.

    Attributes
    ----------
    limit
        Most tokens of an answer: one that may be longer would let all others run on.
    beginning
        Of answers that are one likeliest token: what the prompts begin with, maybe nothing. None of all others, which
        are generated.
    """

    limit: int
    beginning: tuple[int, ...] | None


class TransformersEngine:
    """A loaded model that answers batch by batch, the longest prompts first.

    Answers of one likeliest token take a forward pass a batch, and what all their prompts begin with is computed once.

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
        self._vocabulary = Vocabulary(tokenizer, model.config.get_text_config().vocab_size)
        self._padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(self._ends, default=0)
        # A model's own configuration may hold penalties and filters, which would change even the likeliest token.
        model.generation_config = GenerationConfig(eos_token_id=sorted(self._ends), pad_token_id=self._padding)
        self._hidden = {
            token
            for token, added in tokenizer.added_tokens_decoder.items()
            # Where thoughts are marked by special tokens, these must be seen to be found.
            if added.special and added.content != settings.answer_after and not is_mark(added.content)
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
        opened = opened_thoughts(self._tokenizer, prompts[0]) if prompts else ""
        # Prompts of similar length share a batch, so that little is padding.
        kinds = self._kinds(prompts, samplings, answer_tokens)
        waiting: dict[_Kind, list[int]] = {}
        for index in sorted(range(len(prompts)), key=lambda index: -len(prompts[index])):
            waiting.setdefault(kinds[index], []).append(index)
        passes: dict[_Kind, OneToken] = {}
        while waiting:
            # What needs most memory comes first.
            kind = max(waiting, key=lambda kind: len(prompts[waiting[kind][0]]) + kind.limit)
            longest = len(prompts[waiting[kind][0]])
            computed = len(kind.beginning or ())
            # A prompt of less than half the longest's length would be mostly padding: it waits for its like.
            batch = [
                index
                for index in waiting[kind][: self._batch_size]
                if 2 * (len(prompts[index]) - computed) >= longest - computed
            ]
            answers = self._answers(
                [prompts[index] for index in batch], [samplings[index] for index in batch], kind, passes
            )
            if answers is None:
                self._batch_size = self._halved(len(batch), longest + kind.limit)
                continue
            del waiting[kind][: len(batch)]
            if not waiting[kind]:
                del waiting[kind]
            yield [
                (
                    index,
                    self._completion(
                        len(prompts[index]), answer, kind.limit, logprobs, opened, self._is_held(samplings[index])
                    ),
                )
                for index, answer, logprobs in zip(batch, *answers, strict=True)
            ]

    @property
    def residual_stream(self) -> TransformersResidualStream:
        """The model seen from inside, with the batches that its memory takes."""
        return TransformersResidualStream(
            self._model, self._tokenizer, self._padding, self._settings, self._batch_size, self._longest
        )

    def close(self) -> None:
        """Give back the memory."""
        import torch

        self._model = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _kinds(self, prompts: Sequence[list[int]], samplings: Sequence[Sampling], limits: Sequence[int]) -> list[_Kind]:
        kinds = [_Kind(limit, None) for limit in limits]
        holds = self._settings.structured_outputs
        single = [
            index
            for index, (drawn, limit) in enumerate(zip(samplings, limits, strict=True))
            if limit == 1 and drawn.temperature == 0 and not (holds and drawn.constraint) and not drawn.additions
        ]
        parts = [(0, [*range(len(single))])]
        if self._settings.enable_prefix_caching and len(single) > 1 and keeps_all(self._model):
            parts = common_beginnings([prompts[index] for index in single])
        for length, places in parts:
            for index in (single[place] for place in places):
                kinds[index] = _Kind(1, tuple(prompts[index][:length]))
        return kinds

    def _answers(
        self, prompts: list[list[int]], samplings: list[Sampling], kind: _Kind, passes: dict[_Kind, OneToken]
    ) -> tuple[list[list[int]], list[dict[str, float] | None]] | None:
        """Return the tokens after each prompt, padding included, and the log-probabilities of the first ones.

        None where memory does not suffice. What is computed once of a kind is kept in `passes`.
        """
        import torch

        wanted = [self._wanted(drawn) for drawn in samplings]
        try:
            if kind.beginning is None:
                return self._generated(prompts, samplings, kind.limit, wanted)
            if kind not in passes:
                passes[kind] = OneToken(self._model, self._padding, kind.beginning)
            logits = passes[kind].logits(prompts)
            return logits.argmax(dim=-1, keepdim=True).tolist(), first_logprobs(logits, wanted, self._vocabulary)
        except torch.OutOfMemoryError:
            return None

    def _wanted(self, sampling: Sampling) -> Wanted:
        # What a model writes first may be thoughts.
        if self._settings.answer_after:
            return Wanted()
        return Wanted(sampling.top_logprobs, self._vocabulary.beginning(sampling.words))

    def _generated(
        self, prompts: list[list[int]], samplings: list[Sampling], limit: int, wanted: list[Wanted]
    ) -> tuple[list[list[int]], list[dict[str, float] | None]]:
        import torch
        from transformers import GenerationConfig

        width = max(len(prompt) for prompt in prompts)
        rows = [[self._padding] * (width - len(prompt)) + prompt for prompt in prompts]
        attention = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        device = self._model.device
        first_tokens = FirstTokens(wanted, self._vocabulary)
        processors: list[Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = [first_tokens]
        temperatures = [drawn.temperature for drawn in samplings]
        if any(temperature > 0 for temperature in temperatures):
            processors.append(draw(row_generators(prompts, [drawn.seed for drawn in samplings]), temperatures))
        if self._settings.structured_outputs:
            mask = self._grammars.mask([drawn.constraint for drawn in samplings])
            processors += [] if mask is None else [mask]
        seen = torch.tensor(attention, device=device)
        with torch.inference_mode(), adding(self._model, [drawn.additions for drawn in samplings], seen):
            tokens = self._model.generate(
                torch.tensor(rows, device=device),
                attention_mask=seen,
                generation_config=GenerationConfig(do_sample=False, max_new_tokens=limit),
                logits_processor=processors,
            )
        return tokens[:, width:].tolist(), first_tokens.logprobs

    def _is_held(self, sampling: Sampling) -> bool:
        """Return whether an answer is held to its constraint."""
        return self._settings.structured_outputs and sampling.constraint is not None

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
        self,
        prompt_tokens: int,
        answer: list[int],
        limit: int,
        logprobs: dict[str, float] | None,
        opened: str,
        is_held: bool,
    ) -> Completion:
        length = next((place + 1 for place, token in enumerate(answer) if token in self._ends), len(answer))
        ended = length > 0 and answer[length - 1] in self._ends
        shown = [token for token in answer[:length] if token not in self._hidden]
        return read_answer(
            self._tokenizer.decode(shown),
            self._settings.answer_after,
            truncated=length == limit and not ended,
            opened=opened,
            is_held=is_held,
            prompt_tokens=prompt_tokens,
            completion_tokens=length,
            logprobs=logprobs,
        )


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
