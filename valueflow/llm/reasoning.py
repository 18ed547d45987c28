"""What a reasoning model says last."""


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
