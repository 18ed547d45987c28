"""A teacher whose utilities are known: sums of what the words of the sentences in `tiny` count on each value."""

from collections.abc import Sequence

import numpy as np

from tests.hives.tiny import SUBJECTS, VALUES
from valueflow.judge import Criterion, Progress, TextUtilities

_DEEDS = [(deed, value) for value, deeds in VALUES.items() for deed in deeds]


def utility_of(text: str, value: str) -> float:
    """Return the teacher's utility: the side that the sentence takes, who acts, and whether the deed is the value's."""
    side = 2.0 if text.endswith("rightly") else -2.0
    subject = next(place for place, words in enumerate(SUBJECTS) if text.startswith(words))
    deed = next(family for words, family in _DEEDS if words in text)
    about = 1.0 if deed == value or (deed == "caring" and value == "benevolence") else 0.0
    # Every value has a scale and a zero of its own, as a real judge has.
    scale, shift = 1 + len(value) % 4, len(value) % 5 - 2.0
    return scale * (side * (1 + about) + 0.3 * subject) + shift


class KnownTeacher:
    """Says what `utility_of` says; of texts that begin with `mute` it says nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def text_utilities(self, criterion: Criterion, texts: Sequence[str], progress: Progress) -> TextUtilities:
        distinct = list(dict.fromkeys(texts))
        self.asked += [(criterion.value, text) for text in distinct]
        muted = [text.startswith("mute") for text in distinct]
        progress(len(distinct), sum(muted))
        return TextUtilities(
            criterion.theory.name,
            criterion.value,
            np.array([*distinct, None], dtype=object)[:-1],
            np.array(
                [
                    np.nan if mute else utility_of(text, criterion.value)
                    for text, mute in zip(distinct, muted, strict=True)
                ]
            ),
            np.array([*("it is mute" if mute else "" for mute in muted), None], dtype=object)[:-1],
            report={"calls": len(distinct)},
        )

    def anchor_utilities(self, criterion: Criterion, progress: Progress) -> tuple[TextUtilities, ...]:
        raise NotImplementedError

    def describe(self) -> dict[str, object]:
        return {"kind": "known", "model": "words"}
