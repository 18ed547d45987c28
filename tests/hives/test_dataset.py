"""Sharing batches out over processes, and chunks of like length."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from valueflow.hives.training import HeldOutChunks, in_chunks, own_share, whole_batch


@given(st.integers(1, 40), st.integers(1, 6))
def test_shares_of_all_processes_make_the_batch(n: int, world_size: int) -> None:
    rows = np.arange(100, 100 + n)
    shares = [own_share(rows, rank, world_size) for rank in range(world_size)]
    assert len({len(share) for share in shares}) == 1
    gathered = torch.tensor(np.array(shares))[:, :, None]
    assert whole_batch(gathered, n)[:, 0].tolist() == rows.tolist()


def tokenise(texts: list[str]) -> dict[str, torch.Tensor]:
    longest = max(map(len, texts))
    return {"tokens": torch.tensor([[ord(letter) for letter in text.ljust(longest, "\0")] for text in texts])}


def texts_of(features: dict[str, torch.Tensor]) -> list[str]:
    return ["".join(map(chr, row)).rstrip("\0") for row in features["tokens"]]


@given(st.lists(st.text("abc", min_size=1, max_size=30), min_size=1, max_size=30), st.integers(1, 7))
def test_chunks_hold_every_text_once_with_little_padding(texts: list[str], size: int) -> None:
    chunks = in_chunks(texts, size, tokenise)
    read = [text for features in chunks.features for text in texts_of(features)]
    assert read == [texts[place] for place in chunks.places]
    assert sorted(chunks.places.tolist()) == list(range(len(texts)))
    widths = [features["tokens"].shape[1] for features in chunks.features]
    assert widths == sorted(widths)
    for features in chunks.features:
        assert len(features["tokens"]) <= size
        assert features["tokens"].shape[1] == max(map(len, texts_of(features)))


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_held_out_texts_are_embedded_in_as_many_chunks_by_each_process(world_size: int) -> None:
    texts = [f"text {'x' * (n % 5)}{n}" for n in range(17)]
    places, counts = [], set()
    for rank in range(world_size):
        data = HeldOutChunks(texts, tokenise, chunk_size=4, rank=rank, world_size=world_size)
        counts.add(len(data))
        for number in range(len(data)):
            (features,) = data[number].features
            own = [(place, text) for place, text in zip(data[number].places.tolist(), texts_of(features), strict=True)]
            assert len(own) <= 4
            places += [place for place, text in own if place < 17 and text == texts[place]]
            assert all(place == 17 for place, text in own if text not in texts or texts.index(text) != place)
    assert len(counts) == 1
    assert sorted(places) == list(range(17))
