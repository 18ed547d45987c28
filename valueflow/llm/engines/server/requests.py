"""What is sent to a server."""

from typing import TYPE_CHECKING, Literal

from valueflow.llm.engines.thoughts import encodable
from valueflow.llm.protocol import Constraint, Conversation, Sampling
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
