"""Which tokens begin a word: the one rule by which engines look for tokens and judges add up what they find."""


def begins(token: str, word: str) -> bool:
    """Return whether an answer that begins with a token may go on to be a word.

    Neither the blanks around the token nor the case of letters count, so " Sup" begins "support". A token that is
    longer than the word does not begin it, and one of blanks alone begins none.

    Parameters
    ----------
    token
        The text of a token.
    word
        The word as it is spelled, without blanks around it.
    """
    text = token.strip().casefold()
    return text != "" and word.casefold().startswith(text)
