"""What a value means, and what it is to support or oppose it, in the words that sentence encoders embed."""

from valueflow.theory import Theory, known_theories


def definition_text(theory: str, value: str, asked: Theory) -> str:
    """Return label and definition of a value as one text; its bare name where no theory at hand knows it.

    Parameters
    ----------
    theory, value
        Ids of the theory and the value.
    asked
        A theory besides the packaged ones; it goes before a packaged one of the same name.
    """
    for known in (asked, *known_theories()):
        if known.name == theory and value in known.nodes:
            return f"{known.nodes[value].label}: {known.nodes[value].definition}"
    return value.replace("_", " ").replace("-", " ")


def stance_texts(theory: str, value: str, asked: Theory) -> tuple[str, str]:
    """Return two texts on a value: that somebody supports it, and that somebody opposes it; see `definition_text`.

    Much of what the value is about cancels in the difference of their embeddings.
    """
    meaning = definition_text(theory, value, asked)
    return f"Somebody supports this. {meaning}", f"Somebody opposes this. {meaning}"
