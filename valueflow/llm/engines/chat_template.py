"""Conversations as tokens, by a model's own chat template; for engines in this process."""

from collections.abc import Mapping, Sequence
from typing import Any

from valueflow.llm.engines.thoughts import encodable
from valueflow.llm.prompting import is_mark, opened_by
from valueflow.llm.protocol import Conversation, PromptTooLong
from valueflow.run import InputError

_TOKENS_AT_THE_END = 64
"""Of a prompt, more than a mark of thoughts takes."""


def prompt_tokens(
    tokenizer: Any, conversations: Sequence[Conversation], model: str, template_kwargs: Mapping[str, Any] | None
) -> list[list[int]]:
    """Return the tokens of each conversation, up to where the model's answer begins.

    Raises
    ------
    InputError
        The template does not take them; many take no system message.
    """
    if not conversations:
        return []
    try:
        encoded = tokenizer.apply_chat_template(
            [[{**turn, "content": encodable(turn["content"])} for turn in turns] for turns in conversations],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            **(template_kwargs or {}),
        )
    except Exception as error:  # what templates raise, and what they trip over
        raise InputError(
            f"the chat template of model '{model}' does not take these conversations: {reason(error)}; "
            "see llm.chat_template_kwargs, and prompt.system='' where it takes no system message"
        ) from error
    return list(encoded["input_ids"])


def opened_thoughts(tokenizer: Any, prompt: Sequence[int]) -> str:
    """Return the mark with which a prompt ends if its template opens the model's thoughts, else nothing."""
    return opened_by(tokenizer.decode(list(prompt[-_TOKENS_AT_THE_END:])))


def marks_are_special(tokenizer: Any) -> bool:
    """Return whether marks of thoughts are special tokens, which are mostly left out of texts."""
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    return any(token.special and is_mark(token.content) for token in added)


def check_lengths(prompts: Sequence[Sequence[int]], answer_tokens: Sequence[int], longest: int | None) -> None:
    """Check that each prompt and its answer fit into the model; None: no known limit.

    Raises
    ------
    PromptTooLong
        The first that does not.
    """
    for index, (prompt, most) in enumerate(zip(prompts, answer_tokens, strict=True)):
        if longest is not None and len(prompt) + most > longest:
            detail = f"{len(prompt):,} tokens and {most:,} for the answer; the model takes {longest:,}"
            raise PromptTooLong(index, detail)


def reason(error: Exception) -> str:
    """Word a library's error in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Of pydantic's findings the first line only says how many there are.
    said = lines[:2] if lines and "validation error" in lines[0] else lines[:1]
    return ": ".join(said) or type(error).__name__
