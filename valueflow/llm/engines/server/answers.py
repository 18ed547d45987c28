"""What is read from a server's answer."""

import json
from collections.abc import Mapping

from valueflow.llm.engines.first_tokens import by_text
from valueflow.llm.engines.thoughts import encodable, read_answer
from valueflow.llm.protocol import Completion

_NO_ANSWER = {
    *("error", "content_filter", "content-filter", "safety", "sensitive", "prohibited_content", "blocklist", "spii"),
    *("recitation", "refusal", "guardrail_intervened", "insufficient_system_resource", "network_error", "abort"),
}
"""Reasons to finish that leave no answer, in lower case; servers in front of others pass their words on."""

_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
"""Fields of a message in which servers put thoughts that they took out of its content."""


def read_completion(text: str, answer_after: str) -> Completion | None:
    """Read an answer; None where it is no chat completion.

    Where the server says why it gives no answer, the completion has that as its error, in the server's own words.
    """
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match answer:
        case {"choices": [{"message": {**message}, **choice}, *_]}:
            pass
        case {**others} if not others.get("choices"):
            reason = _filtered(others)
            return Completion("", error=f"content filter: {reason}") if reason else None
        case _:
            return None
    content = _content(message.get("content"))
    if content is None:
        return None
    said, has_thoughts = content
    if reason := _why_none(message, choice, said):
        return Completion("", error=reason)
    usage, logprobs = answer.get("usage"), _first_logprobs(choice.get("logprobs"))
    is_cut = choice.get("finish_reason") == "length"
    has_thoughts = has_thoughts or any(message.get(field) for field in _THOUGHTS) or _thought_tokens(usage) > 0
    return read_answer(
        encodable(said),
        answer_after,
        truncated=is_cut,
        # A limit that is reached without a word was reached by words that are not shown; a first token that is told of
        # may have no text of its own.
        thinks=has_thoughts or (is_cut and not said and logprobs is None),
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        logprobs=logprobs,
    )


def _content(content: object) -> tuple[str, bool] | None:
    """Return the text of a message, and whether there are thoughts beside it; None where it has no known form."""
    if content is None or isinstance(content, str):
        return content or "", False
    parts = content if isinstance(content, list) else [content]
    texts: list[str] = []
    has_thoughts = False
    for part in parts:
        match part:
            case str(text) | {"type": "text" | "output_text", "text": str(text)}:
                texts.append(text)
            case {"type": "thinking" | "reasoning" | "redacted_thinking"}:
                has_thoughts = True
            case {"type": str()}:
                # A picture, a reference, a refusal: no part of the text.
                continue
            case _:
                return None
    return "".join(texts), has_thoughts


def _why_none(message: Mapping[object, object], choice: Mapping[object, object], said: str) -> str:
    """Return why a choice holds no answer; empty where it may hold one."""
    finish = choice.get("finish_reason")
    if choice.get("error") or (isinstance(finish, str) and finish.lower() in _NO_ANSWER):
        reason = _filtered(choice)
        return f"finish_reason {finish}: {reason}" if reason else f"finish_reason {finish}"
    content = message.get("content")
    places = [message, *(content if isinstance(content, list) else [])]
    refusals = [place.get("refusal") for place in places if isinstance(place, Mapping)]
    words = next((refusal.strip() for refusal in refusals if isinstance(refusal, str) and refusal.strip()), "")
    return f"refused: {words}" if words and not said.strip() else ""


def _filtered(body: Mapping[object, object]) -> str:
    """Return what a server says of its filter of content: categories, a reason; empty where it says nothing."""
    match body:
        case {"prompt_filter_results": [{"content_filter_results": {**results}}, *_]}:
            pass
        case {"content_filter_results": {**results}}:
            pass
        case {"promptFeedback": {"blockReason": str(reason)}} | {"prompt_feedback": {"block_reason": str(reason)}}:
            return reason
        case _:
            return ""
    return ", ".join(
        str(category)
        for category, found in results.items()
        if isinstance(found, dict) and found.get("filtered") is True
    )


def _first_logprobs(logprobs: object) -> dict[str, float] | None:
    """Read the log-probabilities of the first token; None where there are none, or none that can be read."""
    match logprobs:
        case {"content": [{**first}, *_]}:
            listed = first.get("top_logprobs")
        case _:
            return None
    entries = listed if isinstance(listed, list) else []
    tokens = [_token(entry) for entry in entries]
    chosen = _token(first)
    # The chosen token comes beside the likeliest ones, and may be one of them.
    tokens += [chosen] if chosen not in tokens else []
    return by_text(token for token in tokens if token is not None) or None


def _token(entry: object) -> tuple[str, float] | None:
    match entry:
        case {"token": str(text), "logprob": int() | float() as logprob}:
            return encodable(text), float(logprob)
    return None


def _thought_tokens(usage: object) -> int:
    return _count(usage.get("completion_tokens_details"), "reasoning_tokens") if isinstance(usage, dict) else 0


def _count(usage: object, name: str) -> int:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and count > 0 else 0
