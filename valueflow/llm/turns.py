"""Texts of turns: what models can be sent, and what of their words is the answer."""


def final_answer(text: str, marker: str) -> tuple[str, bool]:
    """Return what stands after the last marker, and whether the answer was reached.

    Parameters
    ----------
    text
        All that the model has written.
    marker
        What it writes between its thoughts and its answer, such as `</think>`; empty for a model
        that does not think aloud.
    """
    if not marker:
        return text, True
    _, found, answer = text.rpartition(marker)
    return (answer.strip(), True) if found else ("", False)


def encodable(text: str) -> str:
    """Put U+FFFD in the place of halves of surrogate pairs, which neither UTF-8 nor tokenizers can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
