"""The residual stream of transformers' models, read by hooks after decoder layers; and how likely texts are."""

import inspect
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from valueflow.llm.engines.adding import decoder_layers
from valueflow.llm.engines.chat_template import prompt_tokens
from valueflow.llm.engines.thoughts import encodable
from valueflow.llm.open_models import Likelihoods, Readings
from valueflow.llm.prompting import escape_special_tokens
from valueflow.llm.protocol import Conversation
from valueflow.run import InputError, progress_bar

if TYPE_CHECKING:
    import torch

MOST_TOKENS = 512
"""Of a text that is read; what a text expresses shows sooner."""

_MOST_LOGITS = 2**28
"""Numbers that the scores of one batch may take: a gigabyte of 32 bits."""


class _Loaded(Protocol):
    """What the settings of a model say of its conversations."""

    @property
    def model(self) -> str: ...

    @property
    def chat_template_kwargs(self) -> dict[str, Any] | None: ...


@contextmanager
def _reading(model: Any, take: Callable[[int, "torch.Tensor"], None]) -> Iterator[None]:
    """Hand the residual stream after each layer to a function, with the layer's number."""

    def hook(layer: int) -> Callable[[Any, Any, Any], None]:
        return lambda _module, _inputs, output: take(layer, output[0] if isinstance(output, tuple) else output)

    handles: list[Any] = []
    try:
        for layer, module in enumerate(decoder_layers(model)):
            handles.append(module.register_forward_hook(hook(layer)))
        yield
    finally:
        for handle in handles:
            handle.remove()


class TransformersResidualStream:
    """A loaded model seen from inside; see `valueflow.llm.open_models.ResidualStream`."""

    def __init__(
        self, model: Any, tokenizer: Any, padding: int, settings: _Loaded, batch_size: int, longest: int | None
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._padding = padding
        self._settings = settings
        self._batch_size = batch_size
        self._longest = longest

    @property
    def layers(self) -> int:
        """How many decoder layers the model has."""
        return len(decoder_layers(self._model))

    @property
    def width(self) -> int:
        """How many numbers the residual stream has."""
        return int(self._model.config.get_text_config().hidden_size)

    def read(self, opening: Conversation, texts: Sequence[str], *, progress: bool) -> Readings:
        """Read texts as answers to an opening."""
        import torch

        (prompt,) = self._prompts([opening])
        room = MOST_TOKENS if self._longest is None else min(MOST_TOKENS, self._longest - len(prompt))
        if room < 1:
            raise InputError(f"the opening takes {len(prompt)} tokens, and the model only {self._longest}; shorten it")
        tokens = self._tokens(texts)
        means = np.zeros((len(texts), self.layers, self.width), dtype=np.float32)
        norms = np.zeros((len(texts), self.layers))
        shown = [row[:room] for row in tokens]

        def read_batch(batch: list[int]) -> None:
            rows = [prompt + shown[index] for index in batch]
            counts = torch.tensor([[len(shown[index])] for index in batch], device=self._model.device)
            padded, attention = self._padded(rows, left=False)
            places = torch.arange(padded.shape[1], device=padded.device)[None] - len(prompt)
            is_text = (places >= 0) & (places < counts)

            def take(layer: int, hidden: "torch.Tensor") -> None:
                kept = hidden.float() * is_text[:, :, None]
                means[batch, layer] = (kept.sum(dim=1) / counts).cpu().numpy()
                norms[batch, layer] = kept.norm(dim=2).sum(dim=1).cpu().numpy()

            with torch.inference_mode(), _reading(self._model, take):
                self._model.get_decoder()(input_ids=padded, attention_mask=attention, use_cache=False)

        lengths = [len(row) for row in shown]
        _in_batches(lengths, self._batch_size, read_batch, "reading anchors", progress)
        return Readings(means, norms.sum(axis=0) / sum(lengths), sum(len(row) > room for row in tokens))

    def likelihoods(
        self, conversations: Sequence[Conversation], texts: Sequence[str], *, progress: bool
    ) -> Likelihoods:
        """Return how likely the model is to answer conversations with texts."""
        import torch

        prompts, answers = self._prompts(conversations), self._tokens(texts)
        logprobs = np.zeros(len(texts))
        longest = max((len(answer) for answer in answers), default=1)
        vocabulary = self._model.config.get_text_config().vocab_size
        takes = inspect.signature(self._model.forward).parameters

        def score_batch(batch: list[int]) -> None:
            rows = [prompts[index] + answers[index] for index in batch]
            keep = max(len(answers[index]) for index in batch)
            padded, attention = self._padded(rows, left=True)
            # Of prompts only the last token's scores are needed; those of all take a vocabulary for each.
            more = {"position_ids": (attention.cumsum(dim=1) - 1).clamp(min=0), "logits_to_keep": keep + 1}
            more = {name: given for name, given in more.items() if name in takes}
            with torch.inference_mode():
                logits = self._model(input_ids=padded, attention_mask=attention, use_cache=False, **more).logits
                logits = logits[:, -keep - 1 : -1]
                said = padded[:, padded.shape[1] - keep :]
                of_tokens = -torch.nn.functional.cross_entropy(
                    logits.float().flatten(0, 1), said.flatten(), reduction="none"
                ).view(said.shape)
            for row, index in enumerate(batch):
                n = len(answers[index])
                logprobs[index] = float(of_tokens[row, keep - n :].double().sum()) if n else 0.0

        size = max(1, min(self._batch_size, _MOST_LOGITS // (vocabulary * (longest + 1))))
        lengths = [len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True)]
        _in_batches(lengths, size, score_batch, "perplexity", progress)
        return Likelihoods(logprobs, np.array([len(answer) for answer in answers], dtype=np.int64))

    def _prompts(self, conversations: Sequence[Conversation]) -> list[list[int]]:
        settings = self._settings
        return prompt_tokens(self._tokenizer, conversations, settings.model, settings.chat_template_kwargs)

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of texts, none of them special, whatever the texts hold."""
        if not len(texts):
            return []
        harmless = [escape_special_tokens(encodable(text), invisible=False) for text in texts]
        return list(self._tokenizer(harmless, add_special_tokens=False)["input_ids"])

    def _padded(self, rows: Sequence[list[int]], *, left: bool) -> tuple["torch.Tensor", "torch.Tensor"]:
        """Return tokens and attention mask, (B, width) each."""
        import torch

        width = max(len(row) for row in rows)
        gaps = [[self._padding] * (width - len(row)) for row in rows]
        padded = [gap + row if left else row + gap for row, gap in zip(rows, gaps, strict=True)]
        is_token = [
            [0] * len(gap) + [1] * len(row) if left else [1] * len(row) + [0] * len(gap)
            for row, gap in zip(rows, gaps, strict=True)
        ]
        device = self._model.device
        return torch.tensor(padded, device=device), torch.tensor(is_token, device=device)


def _in_batches(
    lengths: Sequence[int], size: int, work: Callable[[list[int]], None], title: str, progress: bool
) -> None:
    """Work through texts in batches of like length, the longest first; smaller ones where memory does not suffice."""
    with progress_bar(title, len(lengths), "texts", enabled=progress) as advance:
        for batch in _fitting(sorted(range(len(lengths)), key=lambda index: -lengths[index]), size, work):
            advance(len(batch), 0)


def _fitting(order: list[int], size: int, work: Callable[[list[int]], None]) -> Generator[list[int], None, None]:
    """Have batches worked on and yield each when it is done."""
    import torch

    while order:
        batch = order[:size]
        try:
            work(batch)
        except torch.OutOfMemoryError as error:
            if size == 1:
                raise InputError("memory does not take one text; use llm.dtype=bfloat16 or a smaller model") from error
            torch.cuda.empty_cache()
            size = max(1, len(batch) // 2)
            continue
        del order[:size]
        yield batch
