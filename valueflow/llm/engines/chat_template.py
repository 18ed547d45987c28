"""Conversations as tokens, by a model's own chat template; for engines in this process."""

from collections.abc import Mapping, Sequence
from typing import Any

from valueflow.llm.engines.thoughts import encodable
from valueflow.llm.protocol import Conversation, PromptTooLong
from valueflow.run import InputError


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
