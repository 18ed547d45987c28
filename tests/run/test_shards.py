"""Which rows a shard has, what it records, and which folders make a whole."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.run import InputError, Share, current_share, owners, sharing
from valueflow.run.shards import Shard, share_of

KEYS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=60)


def as_keys(numbers: list[int]) -> npt.NDArray[np.uint64]:
    return np.array(numbers, dtype=np.uint64)


@given(numbers=KEYS, count=st.integers(1, 9), order=st.randoms(use_true_random=False))
def test_each_row_belongs_to_one_shard_by_its_key_alone(numbers: list[int], count: int, order: Any) -> None:
    of = owners(as_keys(numbers), count)
    assert set(of.tolist()) <= set(range(1, count + 1))
    shuffled = numbers[:]
    order.shuffle(shuffled)
    by_key = dict(zip(numbers, of.tolist(), strict=True))
    assert owners(as_keys(shuffled), count).tolist() == [by_key[number] for number in shuffled]


def test_shards_of_random_keys_are_of_about_one_size() -> None:
    keys = np.random.default_rng(0).integers(0, 2**64, 8000, dtype=np.uint64)
    sizes = np.bincount(owners(keys, 8))[1:]
    # Four standard deviations of a binomial share.
    assert np.abs(sizes - 1000).max() < 4 * np.sqrt(8000 / 8 * 7 / 8)


@pytest.mark.parametrize("written", ["0/4", "5/4", "1", "a/b", "1/0", "-1/4", "1/4/2", "", 3])
def test_what_is_no_shard_is_refused(written: object) -> None:
    with pytest.raises(InputError, match="give i/n with i from 1 to n, as shard=2/4"):
        Shard.read(written)


def made(folder: Path, written: str, rows: list[int], **settings: Any) -> Path:
    """Leave the summary of a shard in a folder."""
    share = share_of("count", {"k": 1, "cache": "on", **settings}, folder, {"shard": written})
    share.take(as_keys(rows))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(share.figures()))
    return folder


def merged(*folders: Path | str, **settings: Any) -> Share:
    return share_of("count", {"k": 1, "cache": "on", **settings}, None, {"merge": [str(folder) for folder in folders]})


ROWS = list(range(40, 80))


def test_all_shards_of_a_run_are_found_at_any_depth_and_in_any_order(tmp_path: Path) -> None:
    for number in (3, 1, 2):
        made(tmp_path / "deep" / str(9 - number), f"{number}/3", ROWS)
    # What a run shows or costs does not tell its shards apart.
    share = merged(tmp_path, cache="off")
    assert [str(found.shard) for found in share.merged] == ["1/3", "2/3", "3/3"]
    assert share.take(as_keys(ROWS[::-1])).all()
    assert share.figures() == {"merged": [str(tmp_path / "deep" / name) for name in ("8", "7", "6")]}


def test_shards_of_other_runs_beside_them_are_passed_over(tmp_path: Path) -> None:
    for number in (1, 2):
        made(tmp_path / f"one{number}", f"{number}/2", ROWS)
        made(tmp_path / f"other{number}", f"{number}/2", ROWS, k=2)
    assert [found.path.name for found in merged(tmp_path).merged] == ["one1", "one2"]
    assert [found.path.name for found in merged(tmp_path, k=2).merged] == ["other1", "other2"]


def test_what_is_no_whole_is_refused_in_one_line(tmp_path: Path) -> None:
    first, second = made(tmp_path / "a", "1/2", ROWS), made(tmp_path / "b", "2/2", ROWS)
    (tmp_path / "empty").mkdir()
    foreign = made(tmp_path / "c", "2/2", ROWS, k=5, m={"n": 1})
    cases = [
        ((first,), "of 2 shards 1 are missing or not finished: 2/2; run them: the same command with shard=2/2"),
        ((first, foreign), "c holds no shard of this run: the nearest, .*c, has k=5 .here 1., m.n=1 .here None."),
        ((first, second, made(tmp_path / "d", "2/2", ROWS)), "b and .*d are both shard 2/2; give one of them"),
        ((first, made(tmp_path / "e", "2/3", ROWS)), "e is shard 2/3, another folder shard 1/2"),
        ((first, tmp_path / "empty"), "empty holds no shard of this run: it holds none at all"),
        ((first, tmp_path / "nowhere"), "nowhere cannot be read"),
    ]
    for folders, message in cases:
        with pytest.raises(InputError, match=message):
            merged(*folders)


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (ROWS[1:], "had 20 rows, and of the input as it is now it would have 19"),
        ([*ROWS[1:], 1000], "had 20 rows, and of the input as it is now it would have 20 others"),
        ([*ROWS, 1000], "had 20 rows, and of the input as it is now it would have 21"),
    ],
)
def test_rows_that_have_changed_since_are_noticed(tmp_path: Path, now: list[int], message: str) -> None:
    share = merged(made(tmp_path / "a", "1/2", ROWS), made(tmp_path / "b", "2/2", ROWS))
    with pytest.raises(InputError, match=message):
        share.take(as_keys(now))


@given(parts=st.lists(KEYS, min_size=1, max_size=5))
def test_rows_may_come_some_at_a_time(parts: list[list[int]]) -> None:
    whole, pieces = Share(), Share()
    whole.count_rows(as_keys([number for part in parts for number in part]))
    for part in parts:
        pieces.count_rows(as_keys(part))
    assert (whole.rows, whole._sums) == (pieces.rows, pieces._sums)


def test_more_shards_than_rows_are_refused_by_each_of_them(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        share = share_of("count", {}, tmp_path, {"shard": f"{number}/3"})
        with pytest.raises(InputError, match="2 rows leave none to shard 1/3; divide them among fewer"):
            share.take(as_keys([4, 5]))


def test_a_run_is_a_shard_or_joins_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give one"):
        share_of("count", {}, tmp_path, {"shard": "1/2", "merge": "x"})
    with pytest.raises(InputError, match="'output_dir' is not set"):
        share_of("count", {}, None, {"shard": "1/2"})
    with pytest.raises(InputError, match="give the folder of the shards"):
        share_of("count", {}, tmp_path, {"merge": [3]})


def test_what_is_asked_on_the_way_knows_of_the_share(tmp_path: Path) -> None:
    share = share_of("count", {}, tmp_path, {"shard": "1/2"})
    assert current_share().is_whole
    with sharing(share):
        assert current_share() is share
    assert current_share().is_whole


def test_answers_of_an_attempt_that_was_killed_are_not_kept(tmp_path: Path) -> None:
    share = share_of("count", {}, tmp_path, {"shard": "1/2"})
    (tmp_path / "answers.jsonl").write_text("of an attempt that was killed")
    share.take(as_keys(ROWS))
    assert list(tmp_path.iterdir()) == []
