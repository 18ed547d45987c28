"""NPZ files written in pieces are those that NumPy writes at once."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from valueflow.extraction.npz import array_member, npz_file


def test_arrays_in_pieces_are_read_back_as_wholes(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    texts = np.array(["a", "\U0001d4b3 and 😀", "", "a\0b", "long " * 50, "\n", "é"])
    with npz_file(tmp_path / "t.npz") as archive:
        with array_member(archive, "embeddings", vectors.shape, "<f4") as append:
            for piece in (vectors[:2], vectors[2:2], vectors[2:].astype(np.float64)):
                append(piece)
        with array_member(archive, "texts", texts.shape, texts.dtype, compressed=True) as append:
            for piece in (texts[:5], texts[5:].astype("<U1")):
                append(piece)
    np.savez(tmp_path / "by_numpy.npz", embeddings=vectors, texts=texts)
    with np.load(tmp_path / "t.npz", allow_pickle=False) as ours, np.load(tmp_path / "by_numpy.npz") as theirs:
        assert ours.files == theirs.files
        for name in ours.files:
            assert ours[name].dtype == theirs[name].dtype
            np.testing.assert_array_equal(ours[name], theirs[name])
    with zipfile.ZipFile(tmp_path / "t.npz") as archive:
        assert archive.testzip() is None
        sizes = {member.filename: (member.compress_size, member.file_size) for member in archive.infolist()}
    assert sizes["embeddings.npy"][0] == sizes["embeddings.npy"][1]
    assert sizes["texts.npy"][0] < sizes["texts.npy"][1] / 5


def test_equal_content_makes_equal_files(tmp_path: Path) -> None:
    for name in ("one.npz", "other.npz"):
        with npz_file(tmp_path / name) as archive, array_member(archive, "a", (2,), "<f4") as append:
            append(np.ones(2))
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()


@pytest.mark.parametrize("rows", [1, 3])
def test_an_array_that_is_not_full_is_no_file(tmp_path: Path, rows: int) -> None:
    with (
        pytest.raises(ValueError, match=f"'a' of 2 rows got {rows}"),
        npz_file(tmp_path / "t.npz") as archive,
        array_member(archive, "a", (2,), "<f4") as append,
    ):
        append(np.ones(rows))
    assert list(tmp_path.iterdir()) == []


def test_rows_of_another_width_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="rows of shape"),
        npz_file(tmp_path / "t.npz") as archive,
        array_member(archive, "a", (2, 3), "<f4") as append,
    ):
        append(np.ones((2, 4)))
    assert list(tmp_path.iterdir()) == []
