"""A judge that has learned another judge's utilities: a sentence encoder with its own head, which needs no anchors."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from valueflow.encoder import PROBE, SentenceEncoder, load_model
from valueflow.judge.by_utility import rank_by_utility
from valueflow.judge.definitions import stance_texts
from valueflow.judge.embedding import check_encoder
from valueflow.judge.protocol import Criterion, Progress
from valueflow.judge.utilities import TextUtilities
from valueflow.judge.utility_head import UtilityHead, head_digest, read_head
from valueflow.judge.windows import RankedWindows, Windows
from valueflow.theory import Theory

_log = logging.getLogger(__name__)

_TEXTS_PER_STEP = 1024
"""Texts read between two updates of the progress bar."""

_DIGITS = 5
"""Of a utility; those beyond it depend on the texts that the encoder sees at once."""


@dataclass(frozen=True)
class DistilledJudge:
    """Gives every text a utility by the head that `train.py stage=distill` left in the encoder's folder.

    Utilities are in standard deviations of the teacher's on a value. Neither anchors nor definitions need be those that
    the head was trained with. Texts that it was trained on are counted (`texts_learned`; of anchors `anchors_learned`,
    with a warning), not left out: it knows the teacher's answers to them, but no intensity of any anchor.

    Attributes
    ----------
    encoder
        The folder.
    batch_size
        Texts the encoder sees at once.
    """

    rankings_per_window: ClassVar[int] = 1

    encoder: str
    batch_size: int = 64

    def __post_init__(self) -> None:
        check_encoder(self.encoder, self.batch_size)
        read_head(self.encoder)

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        """Rank every window, the highest utility first; this judge never fails."""
        held = windows.response_texts[windows.responses]
        anchors = windows.anchor_set.texts[np.unique(windows.anchors)]
        waiting = Counter(held.tolist())
        read = self._read(
            criterion.theory,
            windows.anchor_set.theory,
            windows.anchor_set.value,
            [*held, *anchors],
            lambda step: progress(sum(waiting.pop(text, 0) for text in step), 0),
        )
        report = dict(read.report)
        if not windows.is_among:
            report |= self._report_learned(anchors)
        return rank_by_utility(windows, read, report=report)

    def text_utilities(self, criterion: Criterion, texts: Sequence[str], progress: Progress) -> TextUtilities:
        """Return the utilities of texts on the criterion's value; see `TextJudge`."""
        theory = criterion.theory
        return self._read(theory, theory.name, criterion.value, texts, lambda step: progress(len(step), 0))

    def anchor_utilities(self, criterion: Criterion, progress: Progress) -> tuple[TextUtilities, ...]:
        """Return the utilities of all anchors, each on its own value; see `TextJudge`. Each report is that of all."""
        every = np.concatenate([anchors.texts for anchors in criterion.vidb.anchors])
        learned = self._report_learned(every)
        found = []
        for anchors in criterion.vidb.anchors:
            read = self._read(
                criterion.theory,
                anchors.theory,
                anchors.value,
                anchors.texts.tolist(),
                lambda step: progress(len(step), 0),
            )
            found.append(read)
        loaded = _loaded(self.encoder, head_digest(self.encoder))
        report = {**_report_texts(*loaded, dict.fromkeys(every)), **learned}
        return tuple(replace(read, report=report) for read in found)

    def describe(self) -> dict[str, object]:
        """Return kind, encoder, and whose answers its head has learned."""
        return {
            "kind": "embedding",
            "encoder": self.encoder,
            "head": {"digest": head_digest(self.encoder), "teacher": read_head(self.encoder).card.get("teacher")},
        }

    def _read(
        self,
        asked: Theory,
        theory: str,
        value: str,
        texts: Sequence[str],
        advance: Callable[[Sequence[str]], None],
    ) -> TextUtilities:
        encoder, head = _loaded(self.encoder, head_digest(self.encoder))
        supports, opposes = encoder.encode(stance_texts(theory, value, asked), batch_size=self.batch_size)
        distinct = list(dict.fromkeys(texts))
        # Sorted, so that what the encoder sees at once does not depend on the order of the rows.
        order = sorted(range(len(distinct)), key=distinct.__getitem__)
        utility = np.empty(len(distinct))
        for start in range(0, len(order), _TEXTS_PER_STEP):
            places = order[start : start + _TEXTS_PER_STEP]
            step = [distinct[place] for place in places]
            vectors = encoder.encode(step, batch_size=self.batch_size)
            utility[places] = head.utilities(vectors, supports[None], opposes[None])[:, 0].round(_DIGITS)
            advance(step)
        return TextUtilities(
            theory,
            value,
            np.array([*distinct, None], dtype=object)[:-1],
            utility,
            np.full(len(distinct), "", dtype=object),
            report=_report_texts(encoder, head, distinct),
        )

    def _report_learned(self, anchors: npt.NDArray[np.object_]) -> dict[str, object]:
        """Return how many of the anchors the head was trained on, and say so: it knows these better than others."""
        distinct = sorted(set(anchors))
        head = _loaded(self.encoder, head_digest(self.encoder))[1]
        known = int(head.has_learned(distinct).sum())
        if not known:
            return {}
        _tell_learned(self.encoder, known, len(distinct))
        return {"anchors_learned": {"texts": known, "of": len(distinct)}}


@lru_cache(maxsize=2)
def _loaded(encoder: str, digest: str) -> tuple[SentenceEncoder, UtilityHead]:
    """Return encoder and head; the digest tells apart what was trained into the same folder again."""
    # No vectors on disk: this judge is for more texts than a cache should hold, and embedding them again costs little.
    # Those used last stay in memory (`valueflow.encoder.MEMORY`), so a text that is judged on several values is
    # embedded once, as long as the texts that come in between fit there, too.
    loaded, head = SentenceEncoder(encoder, load_model(encoder), on_disk=False), read_head(encoder)
    head.check_encoder(loaded.encode([PROBE])[0], encoder)
    return loaded, head


def _report_texts(encoder: SentenceEncoder, head: UtilityHead, distinct: Iterable[str]) -> dict[str, object]:
    truncated, learned = _counted(encoder, head, tuple(distinct))
    return {"texts_truncated": truncated, "texts_learned": learned}


@lru_cache(maxsize=1)
def _counted(encoder: SentenceEncoder, head: UtilityHead, texts: tuple[str, ...]) -> tuple[int, int]:
    """Return how many texts are truncated, and how many the head was trained on; counted once for all values."""
    shortened = encoder.shortened(texts, room_for="")
    truncated = sum(len(short) < len(text) for short, text in zip(shortened, texts, strict=True))
    return truncated, int(head.has_learned(texts).sum())


@cache
def _tell_learned(encoder: str, known: int, of: int) -> None:
    _log.warning(
        "%s was distilled on %s of these %s anchors: on them it agrees with its teacher more than on other texts, "
        "so the run's reliability is too favorable; distill on other texts (data.texts) to know it",
        *(encoder, f"{known:,}", f"{of:,}"),
    )
