"""A judge without a language model: a sentence encoder with a light head fitted on the anchors."""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from valueflow.encoder import load_encoder
from valueflow.judge.features import FeatureMap, feature_map
from valueflow.judge.head import NO_VALUE, FloatArray, IntensityHead, Observations
from valueflow.judge.protocol import Criterion, Progress
from valueflow.judge.windows import RankedWindows, Windows
from valueflow.run import InputError
from valueflow.theory import Theory, known_theories
from valueflow.vidb import Vidb

SEED_INTENSITY = 6.0
"""Intensity that favorable seeds are taken to have for values in general, unfavorable ones its negative."""

_TEXTS_PER_STEP = 64
"""Responses scored between two updates of the progress bar."""


@dataclass(frozen=True)
class EmbeddingJudge:
    """Scores every text once and ranks windows by the scores.

    The head learns from the anchors of all values in the VIDB. No text is ever ranked by a head
    that was fitted on it: anchors, and responses that are word for word an anchor of any value,
    are scored with all copies of that text left out.

    Attributes
    ----------
    encoder
        `minilm`, `mpnet`, or the name or folder of any SentenceTransformer.
    batch_size
        Texts the encoder sees at once.
    """

    rankings_per_window: ClassVar[int] = 1

    encoder: str = "minilm"
    batch_size: int = 64

    def __post_init__(self) -> None:
        if not (isinstance(self.encoder, str) and self.encoder):
            raise InputError(f"judge.encoder={self.encoder}: give a name or a folder")
        if not (isinstance(self.batch_size, int) and self.batch_size >= 1):
            raise InputError(f"judge.batch_size={self.batch_size}: give a whole number of 1 or more")

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        """Rank every window, the highest score first; this judge never fails."""
        features = feature_map(load_encoder(self.encoder), self.batch_size)
        fitted = _fit(criterion.vidb, criterion.theory, features)
        # A value without anchors is judged by its definition and by what other values' anchors teach.
        number = fitted.numbers.get((windows.anchor_set.theory, windows.anchor_set.value), NO_VALUE)
        if number == NO_VALUE:
            named = _definition(windows.anchor_set.theory, windows.anchor_set.value, criterion.theory)
            definition = features.definition_vectors([named])[0]
        else:
            definition = fitted.definitions[number]
        response_scores = self._score_responses(fitted, features, number, definition, windows, progress)
        anchor_scores = response_scores if windows.is_among else fitted.head.held_out(fitted.rows[number])
        scores = np.column_stack([response_scores[windows.responses], anchor_scores[windows.anchors]])
        # Only copies of one text have equal scores, up to rounding; the order of the prompt, which is random, decides
        # among them.
        shown = np.take_along_axis(np.round(scores, 9), windows.prompt_order - 1, axis=1)
        places = np.argsort(-shown, axis=1, kind="stable")
        orders = np.take_along_axis(windows.prompt_order, places, axis=1)
        return windows.ranked(orders)

    def describe(self) -> dict[str, object]:
        """Return kind and encoder."""
        return {"kind": "embedding", "encoder": self.encoder}

    @staticmethod
    def _score_responses(
        fitted: "_Fitted",
        features: FeatureMap,
        number: int,
        definition: FloatArray,
        windows: Windows,
        progress: Progress,
    ) -> FloatArray:
        # A window of texts among each other may hold any of them; else only responses that stand in a window count.
        held = np.arange(len(windows.response_texts)) if windows.is_among else np.unique(windows.responses)
        texts, text_of_held = np.unique(windows.response_texts[held], return_inverse=True)
        index = np.zeros(len(windows.response_texts), dtype=np.int64)
        index[held] = text_of_held
        scores = np.empty(len(texts))
        n_windows = np.bincount(index[windows.responses], minlength=len(texts))
        for start in range(0, len(texts), _TEXTS_PER_STEP):
            step = slice(start, start + _TEXTS_PER_STEP)
            seen = features(texts[step].tolist())
            relevance = features.relevance(seen.vectors, definition)
            scores[step] = fitted.head.predict(seen.phi, relevance, number)
            for place in [place for place, text in enumerate(texts[step]) if text in fitted.texts]:
                one = slice(place, place + 1)
                scores[start + place] = fitted.head.predict_without(
                    fitted.texts[texts[start + place]], seen.phi[one], relevance[one], number
                ).item()
            progress(int(n_windows[step].sum()), 0)
        return scores[index]


@dataclass(frozen=True)
class _Fitted:
    """A head fitted on the anchors of all values, and what is needed to ask it about one of them."""

    head: IntensityHead
    numbers: dict[tuple[str, str], int]  # number of a value by theory and id
    rows: list[npt.NDArray[np.int64]]  # observations of each value, in the order of its anchors
    definitions: FloatArray  # (V, d) embedded definitions
    texts: dict[str, int]  # number of each text the head was fitted on


@lru_cache(maxsize=4)
def _fit(vidb: Vidb, theory: Theory, features: FeatureMap) -> _Fitted:
    definitions = features.definition_vectors(
        [_definition(anchors.theory, anchors.value, theory) for anchors in vidb.anchors]
    )
    texts = np.concatenate([anchors.texts for anchors in vidb.anchors])
    sizes = [len(anchors) for anchors in vidb.anchors]
    rows = np.split(np.arange(len(texts)), np.cumsum(sizes)[:-1])
    seen = features(texts.tolist())
    relevance = np.concatenate(
        [features.relevance(seen.vectors[inside], definitions[number]) for number, inside in enumerate(rows)]
    )
    n_seeds = len(features.seed_signs)
    distinct = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    observations = Observations(
        phi=np.vstack([seen.phi, features.seeds.phi]),
        relevance=np.concatenate([relevance, np.zeros(n_seeds)]),
        intensity=np.concatenate(
            [*(anchors.intensities for anchors in vidb.anchors), SEED_INTENSITY * features.seed_signs]
        ),
        value=np.concatenate([np.repeat(np.arange(len(sizes)), sizes), np.full(n_seeds, NO_VALUE)]),
        text=np.concatenate([[distinct[text] for text in texts], len(distinct) + np.arange(n_seeds)]),
    )
    return _Fitted(
        head=IntensityHead.fit(observations),
        numbers={(anchors.theory, anchors.value): number for number, anchors in enumerate(vidb.anchors)},
        rows=list(rows),
        definitions=definitions,
        texts=distinct,
    )


def _definition(theory_name: str, value: str, asked: Theory) -> str:
    """Return what a value means; its bare name where no theory at hand knows it."""
    for theory in (asked, *known_theories()):
        if theory.name == theory_name and value in theory.nodes:
            return f"{theory.nodes[value].label}: {theory.nodes[value].definition}"
    return value.replace("_", " ").replace("-", " ")
