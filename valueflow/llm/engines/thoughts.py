"""What an engine makes of all that a model has written, and texts that tokenizers can hold."""

from collections.abc import Mapping

from valueflow.llm.prompting import CUT_IN_THOUGHTS, Said, without_thoughts
from valueflow.llm.protocol import Completion


def read_answer(
    text: str,
    marker: str,
    *,
    truncated: bool,
    opened: str = "",
    is_held: bool = False,
    thinks: bool = False,
    prompt_tokens: int = 0,
    completion_tokens: int = 0,
    logprobs: Mapping[str, float] | None = None,
) -> Completion:
    """Return the completion for a text, without the thoughts in it.

    Parameters
    ----------
    text
        All that the model has written.
    marker
        What it writes between its thoughts and its answer; empty for the usual marks (`without_thoughts`), which also
        count where it is not found in a text that ended by itself. Without it, a truncated text is all thoughts.
    truncated
        Whether the text ended at its token limit. If there is nothing but thoughts then, the completion has an error.
    opened
        The mark with which the prompt has opened the model's thoughts, if it has.
    is_held
        Whether the text is held to a form: that leaves no room for thoughts, even where the prompt has opened some.
    thinks
        Whether the model is known to have thought elsewhere: the server took it out of the text.
    prompt_tokens, completion_tokens, logprobs
        As in the completion. The first token of a model that thinks says nothing of its answer, so it then has no
        log-probabilities.
    """
    said = _said(text if is_held else opened + text, marker, truncated=truncated)
    has_thought = said.thinks or thinks
    is_cut = truncated and has_thought and not said.answer.strip()
    return Completion(
        text="" if is_cut else said.answer,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        truncated=truncated,
        error=CUT_IN_THOUGHTS if is_cut else "",
        logprobs=None if has_thought or marker or opened else logprobs,
        has_thought=has_thought,
    )


def _said(text: str, marker: str, *, truncated: bool) -> Said:
    before, found, after = text.rpartition(marker) if marker else ("", "", text)
    if marker and truncated and not found:
        return Said("", thinks=True, is_unfinished=True)
    said = without_thoughts(after)
    if found:
        return said._replace(answer=said.answer.strip(), thinks=bool(before.strip()) or said.thinks)
    return said._replace(answer=said.answer.strip()) if marker else said


def encodable(text: str) -> str:
    """Put U+FFFD in the place of halves of surrogate pairs, which neither UTF-8 nor tokenizers can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
