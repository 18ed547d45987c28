"""Vectors in files: safetensors, or NPZ without pickles."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from valueflow.geometry.similarity import Floats
from valueflow.run import InputError, check_there, nearest, shorten
from valueflow.theory import Theory

TEXTS, EMBEDDINGS = "texts", "embeddings"
"""The arrays of `embedding_THEORY.npz`, which `extract.py task=embed` writes."""

_SAFETENSORS, _NPZ = ".safetensors", ".npz"

Arrays = Mapping[str, npt.NDArray[Any]]


def read_arrays(file: str) -> Arrays:
    """Read the arrays of a file of vectors by their names.

    Raises
    ------
    InputError
        There is no such file, it is of another kind, damaged, or holds Python objects.
    """
    path = Path(file)
    check_there(path, "vectors")
    kind = path.suffix.lower()
    if kind == _SAFETENSORS:
        return _safetensors(path)
    if kind == _NPZ:
        return _npz(path)
    raise InputError(f"vectors: {path} is neither a {_SAFETENSORS} nor an {_NPZ} file")


def is_embeddings(arrays: Arrays) -> bool:
    """Return whether the arrays are vectors of texts, not of values."""
    return {*arrays} == {TEXTS, EMBEDDINGS}


def vectors_of_values(arrays: Arrays, theory: Theory, file: str) -> dict[str, Floats]:
    """Return the vector of each value, in the order of the theory.

    Parameters
    ----------
    arrays
        One per value, (D,), by a name of the value in any spelling.
    theory
        Whose values they are.
    file
        Where they come from, for messages.

    Raises
    ------
    InputError
        A name is no value or names one twice, an array is no vector of numbers, vectors differ in length, or one has
        no direction.
    """
    named: dict[str, str] = {}
    for name in arrays:
        value = theory.find(name)
        if value not in theory.values:
            raise InputError(
                f"vectors: {file}: '{shorten(name)}' is no value of theory '{theory.name}'; "
                f"{nearest(name, theory.values)}"
            )
        if value in named:
            raise InputError(f"vectors: {file}: '{shorten(named[value])}' and '{shorten(name)}' are one value")
        named[value] = name
    vectors = {
        value: _vector(arrays[named[value]], f"vectors: {file}, '{value}'") for value in theory.values if value in named
    }
    lengths = {value: len(vector) for value, vector in vectors.items()}
    for value, length in lengths.items():
        first = next(iter(lengths))
        if length != lengths[first]:
            raise InputError(
                f"vectors: {file}: '{first}' has {lengths[first]:,} numbers and '{value}' {length:,}; give vectors of "
                "one model"
            )
    return vectors


def _vector(array: npt.NDArray[Any], where: str) -> Floats:
    if array.dtype.kind not in "fiu" or array.ndim != 1 or not array.size:
        raise InputError(f"{where} is an array of {array.dtype}, shape {array.shape}; give a vector of numbers, (D,)")
    vector = array.astype(np.float64)
    if not np.isfinite(vector).all():
        raise InputError(f"{where} holds numbers that are not finite")
    if not vector.any():
        raise InputError(f"{where} is zero throughout and so has no direction; leave the value out")
    return vector


def _safetensors(path: Path) -> Arrays:
    from safetensors import SafetensorError
    from safetensors.torch import load_file  # NumPy has no bfloat16, in which models are stored

    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"vectors: {path} is not a readable safetensors file ({_reason(error)})") from error
    return {
        name: (tensor.float() if tensor.is_floating_point() else tensor).numpy() for name, tensor in tensors.items()
    }


def _npz(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"vectors: {path} is not a readable NPZ file ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return shorten(str(error).splitlines()[0] if str(error) else type(error).__name__, 120)
