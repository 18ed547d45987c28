"""Prompt templates: names in braces are filled in, once; all other braces stand for themselves."""

import re
from collections.abc import Mapping, Sequence

from valueflow.run import nearest

_PLACE = re.compile(r"\{([a-z_]+)\}")


def check_places(field: str, template: str, known: Sequence[str]) -> None:
    """Check that a template names only what it will be given.

    Raises
    ------
    ValueError
        It names something else; the message gives the nearest name.
    """
    for name in _PLACE.findall(template):
        if name not in known:
            raise ValueError(f"{field} holds '{{{name}}}'; {nearest(name, known)}")


def fill(template: str, words: Mapping[str, str]) -> str:
    """Put words in their places.

    What is filled in is not looked at again, whatever braces it holds; so a text of a data set stays what it is.
    """
    return _PLACE.sub(lambda place: words[place.group(1)], template.strip())
