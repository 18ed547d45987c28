"""What a judge is called where several stand beside each other."""

from collections.abc import Mapping


def judge_words(described: object) -> str:
    """Name a judge by what `describe` says of it, as summaries keep it; what describes none is `unknown`."""
    if not isinstance(described, Mapping):
        return "unknown"
    if described.get("members"):
        return f"panel of {', '.join(judge_words(member) for member in described['members'])}"
    named = described.get("model") or described.get("encoder")
    parts = [str(described.get("kind", "judge")), *([str(named)] if named else [])]
    prompt, wordings = described.get("prompt"), described.get("wordings")
    asked = [str(prompt)] if prompt else [str(name) for name in wordings or []]
    return " ".join(parts) + (f", prompt {' and '.join(asked)}" if asked else "")
