"""Features of a text for the embedding judge's head: contrasts and relevance, from one frozen encoder.

A sentence encoder is better at topics than at stances. A contrast makes it take one: the same text continued by "This
helps people." and by "This harms people." gives two vectors, and their difference shows which of the two the encoder
finds the more fitting, with much of the topic cancelled.
"""

import re
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.encoder import SentenceEncoder

FloatArray = npt.NDArray[np.float64]

CONTRASTS = (
    ("This helps people.", "This harms people."),
    ("This is morally right.", "This is morally wrong."),
    ("This makes me happy.", "This makes me sad."),
    ("This is safe.", "This is dangerous."),
    ("I like this.", "I hate this."),
)
"""Opposite continuations; none of them is about a particular value."""

SEED_FILE = Path(__file__).parent.parent / "assets" / "seed_pairs.csv"

MAX_SENTENCES = 40
"""Of a longer text, only the first ones are read."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


def split_sentences(text: str) -> list[str]:
    """Split a text after `.`, `!`, `?` and line breaks into 1 to `MAX_SENTENCES` parts; a blank text is one."""
    parts = [part for part in _SENTENCE_END.split(text) if part.strip()]
    return parts[:MAX_SENTENCES] or [text]


@dataclass(frozen=True)
class Features:
    """Features of N texts; of length 1 for a text of one sentence."""

    phi: FloatArray  # (N, D) contrast vectors
    vectors: FloatArray  # (N, d) plain embeddings


class FeatureMap:
    """Turns texts into features; fixed once made, so no feature depends on anchors or on other texts.

    Seeds are generic statements, half of them favorable and half unfavorable to nearly everyone
    (`assets/seed_pairs.csv`). They set the origin of each contrast, and the head sees them as
    value-free observations.
    """

    def __init__(self, encoder: SentenceEncoder, batch_size: int) -> None:
        self._encoder, self._batch_size = encoder, batch_size
        pairs = pd.read_csv(SEED_FILE, dtype=str, keep_default_na=False)
        seeds = pairs["favorable"].tolist() + pairs["unfavorable"].tolist()
        self.seed_signs = np.repeat([1.0, -1.0], len(pairs))
        vectors, differences = self._read(seeds)
        self._centers = [difference.mean(axis=0) for difference in differences]
        self.seeds = Features(self._contrasts(differences), vectors)

    def __call__(self, texts: Sequence[str]) -> Features:
        """Return the features of texts, in their order: each the mean over its sentences.

        A response speaks in several sentences and an anchor in one; averaged, they can be compared,
        and no continuation is asked to sum up a paragraph.
        """
        parts = [split_sentences(text) for text in texts]
        starts = np.cumsum([0, *(len(part) for part in parts[:-1])])
        sizes = np.array([[len(part)] for part in parts])
        flat = [sentence for part in parts for sentence in part]
        vectors, differences = self._read(flat)
        phi = self._contrasts(differences)
        return Features(np.add.reduceat(phi, starts) / sizes, np.add.reduceat(vectors, starts) / sizes)

    @property
    def without_disk(self) -> "FeatureMap":
        """The same features, whose vectors are cached in memory alone."""
        found = copy(self)
        found._encoder = self._encoder.without_disk
        return found

    def definition_vectors(self, definitions: Sequence[str]) -> FloatArray:
        """Embed `label: definition` of V values, (V, d)."""
        return self._encode(definitions)

    def relevance(self, vectors: FloatArray, definition: FloatArray) -> FloatArray:
        """Return how much texts (N, d) are about a value's definition (d,): cosines (N,), less the seeds' average."""
        typical = float((self.seeds.vectors @ definition).mean())
        return np.asarray(vectors @ definition - typical)

    def _encode(self, texts: Sequence[str]) -> FloatArray:
        return self._encoder.encode(texts, batch_size=self._batch_size).astype(np.float64)

    def _read(self, texts: Sequence[str]) -> tuple[FloatArray, list[FloatArray]]:
        """Embed N texts (N, d), and take the difference of each contrast's two continuations, each (N, d)."""
        # The continuation must not fall off the end of the encoder's window.
        longest = ". " + max((text for pair in CONTRASTS for text in pair), key=len)
        stems = [f"{text.strip().rstrip('. ')}. " for text in self._encoder.shortened(texts, room_for=longest)]
        continued = [stem + ending for pair in CONTRASTS for ending in pair for stem in stems]
        # In one go: batches have little padding, and the vectors of a job's responses are one file of the cache.
        plain, *endings = np.split(self._encode([*texts, *continued]), 1 + 2 * len(CONTRASTS))
        return plain, [fair - foul for fair, foul in zip(endings[::2], endings[1::2], strict=True)]

    def _contrasts(self, differences: Sequence[FloatArray]) -> FloatArray:
        centered = [difference - center for difference, center in zip(differences, self._centers, strict=True)]
        unit = [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in centered]
        return np.asarray(np.hstack(unit) / len(unit) ** 0.5)


@lru_cache(maxsize=2)
def feature_map(encoder: SentenceEncoder, batch_size: int) -> FeatureMap:
    """Return the feature map of an encoder, made once per process."""
    return FeatureMap(encoder, batch_size)
