"""An encoder keeps the vectors that it used last, in as much memory as it is given; with a model that counts."""

import tracemalloc
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from valueflow.encoder import MEMORY, SentenceEncoder

D = 384
ROOM = 2_000
"""Bytes of a vector with its text, roughly and rather more."""


class CountingModel:
    """Embeds a text by the numbers in it, and notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], **_: object) -> npt.NDArray[np.float32]:
        self.asked += texts
        return np.stack([vector_of(text) for text in texts])


def vector_of(text: str) -> npt.NDArray[np.float32]:
    drawn = np.random.default_rng(list(text.encode())).normal(size=D)
    return np.asarray(drawn / np.linalg.norm(drawn), dtype=np.float32)


def encoder_of(model: CountingModel, memory: int = MEMORY) -> SentenceEncoder:
    made = SentenceEncoder("counting", model, on_disk=False, memory=memory)  # type: ignore[arg-type]
    model.asked.clear()  # the probe
    return made


def texts(start: int, stop: int) -> list[str]:
    return [f"text {number}" for number in range(start, stop)]


def test_texts_that_fit_are_embedded_once_however_they_come() -> None:
    model = CountingModel()
    encoder = encoder_of(model, 300 * ROOM)
    for _ in range(3):  # as for three values
        for start in range(0, 300, 100):
            batch = texts(start, start + 100)
            np.testing.assert_array_equal(encoder.encode(batch[::-1]), [vector_of(text) for text in batch[::-1]])
    assert sorted(model.asked) == sorted(texts(0, 300))


def test_what_was_not_used_for_longest_is_embedded_again() -> None:
    model = CountingModel()
    encoder = encoder_of(model, 100 * ROOM)
    encoder.encode(texts(0, 50))
    for start in range(50, 1050, 20):
        encoder.encode([*texts(start, start + 20), "text 0"])  # as a definition, which comes with every batch
    assert model.asked.count("text 0") == 1
    model.asked.clear()
    encoder.encode(texts(1000, 1050))
    assert model.asked == []
    encoder.encode(texts(0, 50))
    assert sorted(model.asked) == sorted(texts(1, 50))


def test_one_batch_may_be_larger_than_the_memory() -> None:
    model = CountingModel()
    encoder = encoder_of(model, 10 * ROOM)
    batch = [*texts(0, 100), *texts(0, 100)]
    np.testing.assert_array_equal(encoder.encode(batch), [vector_of(text) for text in batch])
    assert len(model.asked) == 100


def test_memory_does_not_grow_with_the_texts() -> None:
    model = CountingModel()
    encoder = encoder_of(model, 200 * ROOM)

    def read(start: int, stop: int) -> int:
        for first in range(start, stop, 50):
            # Of each batch little is kept for long, and that must not keep the whole batch.
            encoder.encode([*texts(first, first + 50), *texts(0, 5)])
            model.asked.clear()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        empty = tracemalloc.get_traced_memory()[0]
        early, late = read(0, 1000), read(1000, 3000)
    finally:
        tracemalloc.stop()
    assert late - empty < 1.1 * 200 * ROOM
    assert late - early < 0.1 * 200 * ROOM
