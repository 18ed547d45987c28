"""What is sent to a server, and what is read from its answer."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from valueflow.llm.engines.first_tokens import by_text
from valueflow.llm.engines.thoughts import encodable, final_answer
from valueflow.llm.protocol import Completion, Constraint, Conversation, Sampling
from valueflow.run import plain

if TYPE_CHECKING:
    from valueflow.llm.engines.server.settings import ServerModel

Form = Literal["vllm", "json_schema", "none"]
"""How a server is told what an answer must look like."""


def request_body(
    settings: "ServerModel", model: str, conversation: Conversation, sampling: Sampling, more: dict[str, object]
) -> dict[str, object]:
    """Write the body of a request; `more` is what not every server takes: the answer's form, log-probabilities."""
    body = {
        "model": model,
        "messages": [{"role": turn["role"], "content": encodable(turn["content"])} for turn in conversation],
        "temperature": sampling.temperature,
        "seed": sampling.seed,
        settings.token_limit_key: sampling.max_tokens + settings.reasoning_tokens,
        **more,
        **(settings.extra_body or {}),
    }
    left_out = [field for field, content in (settings.extra_body or {}).items() if content is None]
    return {field: content for field, content in body.items() if field not in left_out}


def form_fields(constraint: Constraint | None, form: Form) -> dict[str, object]:
    """Write what a request says of its answer's form; nothing where the server's language has no word for it."""
    match constraint, form:
        case Constraint(grammar=grammar), "vllm":
            return {"structured_outputs": {"grammar": grammar}}
        case Constraint(name=name, schema=schema), "json_schema" if schema is not None:
            described = {"name": name, "strict": True, "schema": plain(schema)}
            return {"response_format": {"type": "json_schema", "json_schema": described}}
    return {}


def logprob_fields(count: int) -> dict[str, object]:
    """Write what a request says of log-probabilities; nothing where none are wanted."""
    return {"logprobs": True, "top_logprobs": count} if count else {}


def read_completion(text: str, answer_after: str) -> Completion | None:
    """Read an answer; None where it is no chat completion."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match answer:
        case {"choices": [{"message": {**message}, **choice}, *_]}:
            content = message.get("content")
        case _:
            return None
    if content is None:
        content = ""
    if not isinstance(content, str):
        return None
    finish = choice.get("finish_reason")
    # Some servers pass on what went wrong behind them as a completion without words.
    if choice.get("error") or finish in ("error", "content_filter"):
        return Completion("", error=f"finish_reason {finish}")
    usage = answer.get("usage")
    said, truncated = final_answer(encodable(content), answer_after, truncated=finish == "length")
    return Completion(
        text=said,
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        truncated=truncated,
        logprobs=None if _thinks(message, answer_after) else _first_logprobs(choice.get("logprobs")),
    )


def _thinks(message: Mapping[object, object], answer_after: str) -> bool:
    """Return whether the tokens of an answer begin with thoughts."""
    return bool(answer_after or message.get("reasoning_content") or message.get("reasoning"))


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


def _count(usage: object, name: str) -> int:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and count > 0 else 0
