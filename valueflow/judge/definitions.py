"""What a value means, in the words that sentence encoders embed."""

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
