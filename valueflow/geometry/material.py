"""The vectors of values that a user gives: ready ones, or those of texts that support and oppose the values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from valueflow.encoder import load_encoder
from valueflow.geometry.directions import Sides, direction
from valueflow.geometry.files import EMBEDDINGS, TEXTS, Arrays, is_embeddings, read_arrays, vectors_of_values
from valueflow.geometry.settings import GeometrySettings
from valueflow.geometry.similarity import Floats
from valueflow.run import InputError, Run, progress_bar
from valueflow.theory import Theory
from valueflow.vidb import Anchors, Vidb, load_vidb

FEWEST_VALUES = 3

_TEXTS_AT_ONCE = 1024
"""Texts between two steps of the progress bar; the vectors of so many are cached on disk as one file."""

_NO_ANCHORS = "no anchors in the VIDB"
_ONE_SIDED = "no vectors of texts on both sides, supporting and opposing"
_NO_DIRECTION = "supporting and opposing texts have the same mean"
_NO_VECTOR = "no vector in the file"


@dataclass(frozen=True, kw_only=True)
class Material:
    """Vectors of values.

    Attributes
    ----------
    source
        Where they come from: a file, or an encoder and a VIDB.
    values
        V ids, in the order of the theory: of its circle where it has one.
    vectors
        (V, D), none of length 0.
    sides
        Vectors of the texts behind each; None where only the values' own are known.
    left_out
        Values without a vector -> why.
    texts, neutral, without_vector, of_no_anchor
        Counts: texts that are used, anchors of intensity 0, anchors whose text is not in the file, and texts of the
        file that are no anchors of the theory.
    vidb_sha256
        Of the VIDB that says which texts support a value; None where there was no need of one.
    """

    source: str
    values: tuple[str, ...]
    vectors: Floats
    sides: Sequence[Sides] | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    texts: int = 0
    neutral: int = 0
    without_vector: int = 0
    of_no_anchor: int = 0
    vidb_sha256: str | None = None


def read_material(settings: GeometrySettings, run: Run) -> Material:
    """Read or compute the vectors of values.

    Raises
    ------
    InputError
        Something given cannot be used, or fewer than `FEWEST_VALUES` values have a vector.
    """
    if settings.vectors is None:
        material = _of_anchors(settings, run)
    else:
        arrays = read_arrays(settings.vectors)
        ready = not is_embeddings(arrays)
        material = _of_file(settings, arrays) if ready else _of_embeddings(settings, arrays, run)
    if len(material.values) < FEWEST_VALUES:
        reasons = "; ".join(f"{value}: {reason}" for value, reason in material.left_out.items())
        raise InputError(
            f"{material.source}: {len(material.values)} values of theory '{settings.theory.name}' have a vector, and "
            f"a geometry needs {FEWEST_VALUES} ({reasons})"
        )
    return material


def _of_file(settings: GeometrySettings, arrays: Arrays) -> Material:
    vectors = vectors_of_values(arrays, settings.theory, str(settings.vectors))
    ordered = _in_order(settings.theory)
    values = tuple(value for value in ordered if value in vectors)
    return Material(
        source=str(settings.vectors),
        values=values,
        vectors=np.array([vectors[value] for value in values]),
        left_out={value: _NO_VECTOR for value in ordered if value not in vectors},
    )


def _of_anchors(settings: GeometrySettings, run: Run) -> Material:
    """Embed the anchors."""
    vidb = load_vidb(settings.vidb, settings.theory, settings.vidb_columns, run.bad_rows)
    encoder = load_encoder(settings.model)
    own = [anchors.texts for anchors in vidb.anchors if anchors.theory == settings.theory.name]
    texts = sorted({text for part in own for text in part})
    vectors: dict[str, npt.NDArray[np.float32]] = {}
    with progress_bar("embedding", len(texts), "texts", enabled=settings.progress) as advance:
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = texts[start : start + _TEXTS_AT_ONCE]
            vectors |= zip(part, encoder.encode(part, batch_size=settings.batch_size), strict=True)
            advance(len(part), 0)

    def look_up(anchors: Anchors) -> tuple[Floats, npt.NDArray[np.float64]]:
        return np.stack([vectors[text] for text in anchors.texts]).astype(np.float64), anchors.intensities

    return _of_texts(settings, vidb, look_up, f"{settings.model}, vidb {settings.vidb}")


def _of_embeddings(settings: GeometrySettings, arrays: Arrays, run: Run) -> Material:
    """Find the anchors among texts whose vectors are known."""
    texts, embeddings = arrays[TEXTS], arrays[EMBEDDINGS]
    where = f"vectors: {settings.vectors}"
    if texts.ndim != 1 or texts.dtype.kind != "U":
        raise InputError(f"{where}: '{TEXTS}' is an array of {texts.dtype}, shape {texts.shape}; give texts, (N,)")
    if embeddings.ndim != 2 or embeddings.dtype.kind != "f" or len(embeddings) != len(texts):
        raise InputError(
            f"{where}: '{EMBEDDINGS}' is an array of {embeddings.dtype}, shape {embeddings.shape}; give vectors of the "
            f"{len(texts):,} texts, (N, D)"
        )
    vidb = load_vidb(settings.vidb, settings.theory, settings.vidb_columns, run.bad_rows)
    places = {text: place for place, text in enumerate(texts.tolist())}
    used: set[int] = set()
    without = 0

    def look_up(anchors: Anchors) -> tuple[Floats, npt.NDArray[np.float64]]:
        nonlocal without
        known = np.array([text in places for text in anchors.texts], dtype=np.bool_)
        rows = [places[text] for text in anchors.texts[known]]
        used.update(rows)
        without += int((~known).sum())
        vectors = embeddings[rows].astype(np.float64)
        if not np.isfinite(vectors).all():
            row = next(row for row in rows if not np.isfinite(embeddings[row]).all())
            raise InputError(f"{where}: '{EMBEDDINGS}', row {row + 1} holds numbers that are not finite")
        return vectors, anchors.intensities[known]

    found = _of_texts(settings, vidb, look_up, f"{settings.vectors}, vidb {settings.vidb}")
    return replace(found, without_vector=without, of_no_anchor=len(texts) - len(used))


def _of_texts(
    settings: GeometrySettings,
    vidb: Vidb,
    vectors_of: Callable[[Anchors], tuple[Floats, npt.NDArray[np.float64]]],
    source: str,
) -> Material:
    """Take the direction of each value from its supporting and opposing anchors."""
    by_value = {anchors.value: anchors for anchors in vidb.anchors if anchors.theory == settings.theory.name}
    found: dict[str, tuple[Sides, Floats]] = {}
    left_out: dict[str, str] = {}
    neutral = 0
    for value in _in_order(settings.theory):
        if value not in by_value:
            left_out[value] = _NO_ANCHORS
            continue
        vectors, intensities = vectors_of(by_value[value])
        neutral += int((intensities == 0).sum())
        sides = Sides(vectors[intensities > 0], vectors[intensities < 0])
        if not (len(sides.supporting) and len(sides.opposing)):
            left_out[value] = _ONE_SIDED
            continue
        own = direction(sides)
        if own.any():
            found[value] = sides, own
        else:
            left_out[value] = _NO_DIRECTION
    sides_found = [sides for sides, _ in found.values()]
    return Material(
        source=source,
        values=tuple(found),
        vectors=np.array([own for _, own in found.values()]),
        sides=sides_found,
        left_out=left_out,
        texts=sum(len(sides.supporting) + len(sides.opposing) for sides in sides_found),
        neutral=neutral,
        vidb_sha256=vidb.digest,
    )


def _in_order(theory: Theory) -> tuple[str, ...]:
    return theory.circle or theory.values
