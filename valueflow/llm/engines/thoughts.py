"""Thoughts and answers of reasoning models, and texts that tokenizers can hold."""


def final_answer(text: str, marker: str, *, truncated: bool) -> tuple[str, bool]:
    """Return what stands after the last marker, and whether the answer is truncated.

    Without the marker, a text that ended by itself is all answer, and a truncated one is all thoughts.

    Parameters
    ----------
    text
        All that the model has written.
    marker
        What it writes between its thoughts and its answer, such as `</think>`; empty for a model
        that does not think aloud.
    truncated
        Whether the text ended at its token limit.
    """
    if not marker:
        return text, truncated
    _, found, answer = text.rpartition(marker)
    return ("", True) if truncated and not found else (answer.strip(), truncated)


def encodable(text: str) -> str:
    """Put U+FFFD in the place of halves of surrogate pairs, which neither UTF-8 nor tokenizers can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
