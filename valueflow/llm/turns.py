"""Texts of turns: what models can be sent, and what of their words is the answer."""


def final_answer(text: str, marker: str, *, cut: bool) -> tuple[str, bool]:
    """Return what stands after the last marker, and whether the answer is cut.

    Without the marker, a text that ended by itself is all answer, and one that was cut is all thoughts.

    Parameters
    ----------
    text
        All that the model has written.
    marker
        What it writes between its thoughts and its answer, such as `</think>`; empty for a model
        that does not think aloud.
    cut
        Whether the text ended at its token limit.
    """
    if not marker:
        return text, cut
    _, found, answer = text.rpartition(marker)
    return ("", True) if cut and not found else (answer.strip(), cut)


def encodable(text: str) -> str:
    """Put U+FFFD in the place of halves of surrogate pairs, which neither UTF-8 nor tokenizers can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
