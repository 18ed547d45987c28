"""NPZ files written and read piece by piece: no array is ever held whole."""

import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from valueflow.run import replacing

Append = Callable[[npt.NDArray[Any]], None]


@contextmanager
def npz_file(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an NPZ file to write arrays to, one after another; it stands at `path` once the block succeeds."""
    # The lightest deflation: the zeros that fill up short texts shrink to little by any.
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", compresslevel=1) as archive:
        yield archive


@contextmanager
def array_member(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike, *, compressed: bool = False
) -> Iterator[Append]:
    """Open an array of an NPZ file to append rows to.

    Parameters
    ----------
    archive
        The file; one of its arrays can be open at a time.
    name
        The array's name, as in `numpy.load(path)[name]`.
    shape
        Of the whole array. As many rows must have been appended when the block ends.
    dtype
        Of the array; what is appended is converted to it.
    compressed
        Whether to deflate the array. What reads it does not see a difference.

    Yields
    ------
    Callable
        Takes an array of the next rows.

    Raises
    ------
    ValueError
        More or fewer rows were appended than `shape` says.
    """
    dtype = np.dtype(dtype)
    archive.compression = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    left = shape[0]
    # Sizes are not known in advance, and an array may be beyond what a ZIP entry without 64-bit fields can hold.
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)

        def append(rows: npt.NDArray[Any]) -> None:
            nonlocal left
            if rows.shape[1:] != shape[1:]:
                raise ValueError(f"rows of shape {rows.shape[1:]} in an array of shape {shape}")
            left -= len(rows)
            stream.write(np.ascontiguousarray(rows, dtype=dtype).tobytes())

        yield append
    if left:
        raise ValueError(f"the array '{name}' of {shape[0]:,} rows got {shape[0] - left:,}")


@contextmanager
def array_rows(path: Path, name: str) -> Iterator[Callable[[int], npt.NDArray[Any]]]:
    """Open an array of an NPZ file to read its rows one after another.

    Yields
    ------
    Callable
        Takes a number n and returns the next n rows; raises `ValueError` where fewer are left.
    """
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
        np.lib.format.read_magic(stream)
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        row_bytes = dtype.itemsize * math.prod(shape[1:])

        def rows(n: int) -> npt.NDArray[Any]:
            content = stream.read(n * row_bytes)
            if len(content) < n * row_bytes:
                raise ValueError(f"the array '{name}' in {path} ends early")
            return np.frombuffer(content, dtype=dtype).reshape(n, *shape[1:])

        yield rows
