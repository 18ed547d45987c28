"""A judge without a language model: a sentence encoder with a light head fitted on the anchors."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from valueflow.encoder import load_encoder
from valueflow.judge.by_utility import orders_by_score
from valueflow.judge.definitions import definition_text
from valueflow.judge.features import FeatureMap, feature_map
from valueflow.judge.head import NO_VALUE, FloatArray, IntensityHead, Observations
from valueflow.judge.learning import learned_rows
from valueflow.judge.protocol import Criterion, Progress
from valueflow.judge.utilities import TextUtilities
from valueflow.judge.windows import RankedWindows, Windows
from valueflow.run import InputError
from valueflow.theory import Theory
from valueflow.vidb import Anchors, Vidb

SEED_INTENSITY = 6.0
"""Intensity that favorable seeds are taken to have for values in general, unfavorable ones its negative."""

_log = logging.getLogger(__name__)

_TEXTS_PER_STEP = 64
"""Texts read between two updates of the progress bar."""


@dataclass(frozen=True)
class EmbeddingJudge:
    """Gives every text a utility once and ranks windows by the utilities.

    The head learns from the anchors of all values in the VIDB. No text is ever read by a head
    that was fitted on it: anchors, and responses that are word for word an anchor of any value,
    are read with all copies of that text left out. Of a VIDB with more than `max_anchors` it learns from a part, spread
    evenly over values and intensities; windows hold all of them.

    Attributes
    ----------
    encoder
        `minilm`, `mpnet`, or the name or folder of any SentenceTransformer.
    batch_size
        Texts the encoder sees at once.
    max_anchors
        Anchors of all values together that the head learns from, at most; None: all.
    seed
        Of which ones these are.
    on_disk
        Whether vectors of many texts are cached on disk; those of anchors are in any case.
    """

    rankings_per_window: ClassVar[int] = 1

    encoder: str = "minilm"
    batch_size: int = 64
    max_anchors: int | None = 5000
    seed: int = 42
    on_disk: bool = True

    def __post_init__(self) -> None:
        check_encoder(self.encoder, self.batch_size)
        if self.max_anchors is not None and not (isinstance(self.max_anchors, int) and self.max_anchors >= 1):
            raise InputError(f"judge.max_anchors={self.max_anchors}: give a whole number of 1 or more, or null for all")

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        """Rank every window, the highest utility first; this judge never fails."""
        asked = self._asked(criterion, windows.anchor_set.theory, windows.anchor_set.value)
        # A window of texts among each other may hold any of them; else only responses that stand in a window count.
        held = np.arange(len(windows.response_texts)) if windows.is_among else np.unique(windows.responses)
        texts, text_of_held = np.unique(windows.response_texts[held], return_inverse=True)
        index = np.zeros(len(windows.response_texts), dtype=np.int64)
        index[held] = text_of_held
        n_windows = np.bincount(index[windows.responses], minlength=len(texts))
        response_scores = _utilities(asked, texts, lambda step: progress(int(n_windows[step].sum()), 0))[index]
        anchor_scores = response_scores if windows.is_among else asked.of_anchors(np.unique(windows.anchors))
        scores = np.column_stack([response_scores[windows.responses], anchor_scores[windows.anchors]])
        return windows.ranked(orders_by_score(windows, scores), report=asked.fitted.report)

    def text_utilities(self, criterion: Criterion, texts: Sequence[str], progress: Progress) -> TextUtilities:
        """Return the intensities that the head expects, in points; an anchor's, without any copy of its text."""
        asked = self._asked(criterion, criterion.theory.name, criterion.value)
        distinct = np.array(list(dict.fromkeys(texts)), dtype=object)
        utility = _utilities(asked, distinct, lambda step: progress(len(distinct[step]), 0))
        none = np.full(len(distinct), "", dtype=object)
        return TextUtilities(criterion.theory.name, criterion.value, distinct, utility, none)

    def anchor_utilities(self, criterion: Criterion, progress: Progress) -> tuple[TextUtilities, ...]:
        """Return the same of all anchors that the head learned from, each on its own value; others are not read."""
        fitted = self._asked(criterion, criterion.theory.name, criterion.value).fitted
        found = []
        for anchors, rows in zip(criterion.vidb.anchors, fitted.rows, strict=True):
            learned = rows >= 0
            utility = np.full(len(anchors), np.nan)
            utility[learned] = fitted.head.held_out(rows[learned])
            failures = np.where(learned, "", f"not read: judge.max_anchors={self.max_anchors}").astype(object)
            found.append(
                TextUtilities(anchors.theory, anchors.value, anchors.texts, utility, failures, report=fitted.report)
            )
            progress(int(learned.sum()), int((~learned).sum()))
        return tuple(found)

    def describe(self) -> dict[str, object]:
        """Return kind and encoder."""
        return {"kind": "embedding", "encoder": self.encoder}

    def for_stream(self) -> "EmbeddingJudge":
        """Return this judge for texts without end, of which no vectors are kept on disk; see `Streamable`."""
        return replace(self, on_disk=False)

    def _asked(self, criterion: Criterion, theory: str, value: str) -> "_Asked":
        features = feature_map(load_encoder(self.encoder), self.batch_size)
        total = sum(map(len, criterion.vidb.anchors))
        # Where all are learned, the seed decides nothing, and one fit serves all seeds.
        part = None if self.max_anchors is None or total <= self.max_anchors else (self.max_anchors, self.seed)
        fitted = _fit(criterion.vidb, criterion.theory, features, part)
        number = fitted.numbers.get((theory, value), NO_VALUE)
        # A value without anchors is judged by its definition and by what other values' anchors teach.
        definition = (
            features.definition_vectors([definition_text(theory, value, criterion.theory)])[0]
            if number == NO_VALUE
            else fitted.definitions[number]
        )
        anchors = None if number == NO_VALUE else criterion.vidb.anchors[number]
        return _Asked(fitted, features if self.on_disk else features.without_disk, number, definition, anchors)


def check_encoder(encoder: object, batch_size: object) -> None:
    """Stop at an encoder that is no name, and at a batch size that is none."""
    if not (isinstance(encoder, str) and encoder):
        raise InputError(f"judge.encoder={encoder}: give a name or a folder")
    if not (isinstance(batch_size, int) and batch_size >= 1):
        raise InputError(f"judge.batch_size={batch_size}: give a whole number of 1 or more")


@dataclass(frozen=True)
class _Fitted:
    """A head fitted on the anchors of all values, and what is needed to ask it about one of them."""

    head: IntensityHead
    numbers: dict[tuple[str, str], int]  # number of a value by theory and id
    rows: list[npt.NDArray[np.int64]]  # observation of each anchor, value by value; -1 for one that was not learned
    definitions: FloatArray  # (V, d) embedded definitions
    texts: dict[str, int]  # number of each text the head was fitted on
    report: dict[str, object]  # what part of the anchors was learned; empty where all were


@dataclass(frozen=True)
class _Asked:
    """A fitted head, asked about one value."""

    fitted: _Fitted
    features: FeatureMap
    number: int  # of the value, or `NO_VALUE`
    definition: FloatArray  # (d,) embedded
    anchors: Anchors | None  # of the value

    def of_anchors(self, which: npt.NDArray[np.int64]) -> FloatArray:
        """Return the utilities of the value's anchors, each without its text; NaN but for those asked for."""
        assert self.anchors is not None
        rows = self.fitted.rows[self.number]
        utility = np.full(len(rows), np.nan)
        learned = which[rows[which] >= 0]
        others = which[rows[which] < 0]
        utility[learned] = self.fitted.head.held_out(rows[learned])
        utility[others] = _utilities(self, self.anchors.texts[others], lambda _: None)
        return utility


def _utilities(asked: _Asked, texts: npt.NDArray[np.object_], report: Callable[[slice], None]) -> FloatArray:
    """Return the utilities of different texts (N,), those of anchors without them; each step done is reported."""
    head, known = asked.fitted.head, asked.fitted.texts
    utility = np.empty(len(texts))
    for start in range(0, len(texts), _TEXTS_PER_STEP):
        step = slice(start, start + _TEXTS_PER_STEP)
        seen = asked.features(texts[step].tolist())
        relevance = asked.features.relevance(seen.vectors, asked.definition)
        utility[step] = head.predict(seen.phi, relevance, asked.number)
        for place in [place for place, text in enumerate(texts[step]) if text in known]:
            one = slice(place, place + 1)
            utility[start + place] = head.predict_without(
                known[texts[start + place]], seen.phi[one], relevance[one], asked.number
            ).item()
        report(step)
    return utility


def _fit(vidb: Vidb, theory: Theory, features: FeatureMap, part: tuple[int, int] | None) -> _Fitted:
    """Fit on all anchors, or on a part of them: so many at most, drawn with a seed."""
    # Jobs on several theories share a head where the theories define the values of the VIDB alike.
    meanings = tuple(definition_text(anchors.theory, anchors.value, theory) for anchors in vidb.anchors)
    return _fit_to(vidb, meanings, features, part)


@lru_cache(maxsize=4)
def _fit_to(vidb: Vidb, meanings: tuple[str, ...], features: FeatureMap, part: tuple[int, int] | None) -> _Fitted:
    definitions = features.definition_vectors(meanings)
    learned = learned_rows(vidb.anchors, part)
    sets = [anchors[rows] for anchors, rows in zip(vidb.anchors, learned, strict=True)]
    texts = np.concatenate([anchors.texts for anchors in sets])
    sizes = [len(anchors) for anchors in sets]
    observations_of = np.split(np.arange(len(texts)), np.cumsum(sizes)[:-1])
    seen = features(texts.tolist())
    relevance = np.concatenate(
        [features.relevance(seen.vectors[inside], definitions[number]) for number, inside in enumerate(observations_of)]
    )
    n_seeds = len(features.seed_signs)
    distinct = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    observations = Observations(
        phi=np.vstack([seen.phi, features.seeds.phi]),
        relevance=np.concatenate([relevance, np.zeros(n_seeds)]),
        intensity=np.concatenate([*(anchors.intensities for anchors in sets), SEED_INTENSITY * features.seed_signs]),
        value=np.concatenate([np.repeat(np.arange(len(sizes)), sizes), np.full(n_seeds, NO_VALUE)]),
        text=np.concatenate([[distinct[text] for text in texts], len(distinct) + np.arange(n_seeds)]),
    )
    return _Fitted(
        head=IntensityHead.fit(observations),
        numbers={(anchors.theory, anchors.value): number for number, anchors in enumerate(vidb.anchors)},
        rows=[
            _placed(len(anchors), rows, inside)
            for anchors, rows, inside in zip(vidb.anchors, learned, observations_of, strict=True)
        ],
        definitions=definitions,
        texts=distinct,
        report={} if part is None else _part_learned(vidb, learned, part[1]),
    )


def _placed(n: int, rows: npt.NDArray[np.int64], observations: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    placed = np.full(n, -1)
    placed[rows] = observations
    return placed


def _part_learned(vidb: Vidb, learned: Sequence[npt.NDArray[np.int64]], seed: int) -> dict[str, object]:
    """Return what part of the anchors a head learned from, and say so."""
    n, total = sum(map(len, learned)), sum(map(len, vidb.anchors))
    _log.warning(
        "judge=embedding learns from %s of %s anchors, spread evenly over values and intensities (judge.max_anchors)",
        *(f"{n:,}", f"{total:,}"),
    )
    return {
        "learned_from": {
            "anchors": n,
            "of": total,
            "most_of_a_value": max(map(len, learned)),
            "chosen": "evenly over values and points of the scale",
            "seed": seed,
        }
    }
