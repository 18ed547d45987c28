"""Where a question's options stand on a scale: which are ordered, which lie in the middle, which on no scale."""

import math
import re
from collections.abc import Sequence
from functools import cache

_OFF_SCALE = re.compile(
    r"(i'?m |i am )?(refused|not sure|unsure)|(i )?don'?t know|(i )?do not know|no (answer|opinion|response)"
    r"|(does not|doesn'?t) apply( to me)?|not applicable|(i )?(prefer|would rather|'d rather) not (to )?(say|answer)"
    r"|decline(d)? to answer|dk|n/a",
    re.IGNORECASE,
)
"""Texts of options that say no opinion; OpinionQA, too, leaves refusals out of its distances."""

_MIDDLE = re.compile(
    r"\b(neither|equally|both|either way|in between|it depends|no more or less|one way or the other"
    r"|about (the same|as|where|the right|equal)|(stay(ing)?|kept|keep) (about )?(the same|as)"
    r"|(no|not much|much|of a) (difference|impact|effect|change)|(does not|doesn't) matter)\b",
    re.IGNORECASE,
)
"""What a middle option says where survey files list it after both sides."""


@cache
def scale_positions(options: tuple[str, ...], ordinal: tuple[float | None, ...] | bool | None) -> tuple[float, ...]:
    """Return where each option stands on the question's scale.

    Parameters
    ----------
    options
        Texts, in the order of their letters.
    ordinal
        What the question file declares: a position an option, None for one that is on no scale; False: the options
        have no order; True or None: they are ordered as listed.

    Returns
    -------
    tuple of float
        One an option, NaN for one on no scale. All are NaN where the options have no order, or fewer than two
        different positions.

    Notes
    -----
    Where no positions are declared, options that say no opinion ("Refused", "Not sure") are on no scale, and the others
    are 0, 1, 2 and so on. The last of three or more that reads like a middle ("About the same", "No difference",
    "Neither ...") stands halfway between the ends of those before it: surveys list it after both sides.
    """
    if ordinal is False:
        positions = [math.nan] * len(options)
    elif ordinal is None or ordinal is True:
        positions = _as_listed(options)
    else:
        positions = [math.nan if position is None else float(position) for position in ordinal]
    different = {position for position in positions if not math.isnan(position)}
    return tuple(positions) if len(different) > 1 else (math.nan,) * len(options)


def says_no_opinion(option: str) -> bool:
    """Return whether an option says no opinion, as "Refused" and "Not sure" do."""
    return _OFF_SCALE.fullmatch(_bare(option)) is not None


def _bare(option: str) -> str:
    return " ".join(option.split()).strip("'\"\u2018\u2019\u201c\u201d.").replace("\u2019", "'")


def _as_listed(options: Sequence[str]) -> list[float]:
    bare = [_bare(option) for option in options]
    on_scale = [index for index, text in enumerate(bare) if not _OFF_SCALE.fullmatch(text)]
    positions = [math.nan] * len(options)
    for place, index in enumerate(on_scale):
        positions[index] = float(place)
    if len(on_scale) > 2 and _MIDDLE.search(bare[on_scale[-1]]):
        positions[on_scale[-1]] = (len(on_scale) - 2) / 2
    return positions
