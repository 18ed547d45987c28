"""Sharing batches out over processes, and chunks of like length."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from valueflow.hives.data import NONE, checked_frame, training_table
from valueflow.hives.sampling import CONCEPT, HIERARCHICAL, INDIVIDUAL, InterTheoryBatches
from valueflow.hives.training import HeldOutChunks, TrainingSteps, in_chunks, own_share, whole_batch


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


def rows_of_several_ids(seed: int) -> pd.DataFrame:
    """Return a training table of 80 texts in one to three rows each, every row with ids of its own or without any."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(80):
        theory, direction = rng.choice(["duty", "mine"]), rng.choice(["support", "oppose"])
        level = rng.choice(["care", "rule", "rest"])
        for _ in range(rng.integers(1, 4)):
            ids = rng.choice(["", "a", "b", "c", "d"]), rng.choice(["", "p", "q", "r", "s", "t"])
            rows.append((f"text {number}", theory, level, direction, *map(str, ids)))
    columns = ["text", "theory", "level_1", "direction", "selected_individual", "selected_anchor"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize("seed", range(3))
def test_ids_of_stage_2_agree_where_the_rows_of_the_texts_do(seed: int) -> None:
    rows = rows_of_several_ids(seed)
    ids = rows.groupby("text")[["selected_individual", "selected_anchor"]].agg(lambda names: set(names) - {""})
    table = training_table([checked_frame(rows, "rows")])
    batches = InterTheoryBatches(
        table.labels, batch_size=48, queries_per_batch=4, positives_per_query=2, members_per_id=4, seed=seed
    )
    steps = TrainingSteps(table, batches, tokenise, chunk_size=5)
    several = 0
    for step in range(4):
        batch = steps[step]
        texts = np.empty(len(batch.labels), dtype=object)
        texts[batch.chunks.places] = [text for chunk in batch.chunks.features for text in texts_of(chunk)]
        parts = batch.labels.parts.tolist()
        found = [set(own) - {NONE} for own in batch.labels.ids.tolist()]
        assert not set().union(*(own for own, part in zip(found, parts, strict=True) if part == HIERARCHICAL))
        for part, column in ((INDIVIDUAL, "selected_individual"), (CONCEPT, "selected_anchor")):
            # A text of several individuals is drawn by the first by name; of several concepts by each, and all count.
            true = [ids.loc[text, column] for text in texts]
            true = [{min(own)} if part == INDIVIDUAL and own else own for own in true]
            members = [place for place, own in enumerate(parts) if own == part]
            assert len(members) > 3
            for one, other in combinations(members, 2):
                assert bool(found[one] & found[other]) == bool(true[one] & true[other])
            several += sum(len(own) > 1 for own in (found[place] for place in members))
            assert all(len(found[place]) == len(true[place]) for place in members)
    assert several > 5
