"""Vectors of values in; how they lie to one another, and whether as their theory says, out."""

from typing import Any

import numpy as np
import pandas as pd

from valueflow.geometry.directions import reliability
from valueflow.geometry.expected import Expected, expected_distances
from valueflow.geometry.intervals import Intervals, intervals
from valueflow.geometry.material import Material, read_material
from valueflow.geometry.outcome import Geometry
from valueflow.geometry.settings import GeometrySettings
from valueflow.geometry.similarity import (
    Floats,
    MantelTest,
    chord_distances,
    cosine_matrix,
    mantel_test,
    scaled,
    turned,
)
from valueflow.run import Run
from valueflow.theory import Theory

SIGNIFICANT = 0.05

_MOSTLY_CHANCE = 0.5
"""Directions of less reliability are named."""


def find_geometry(settings: GeometrySettings, run: Run) -> Geometry:
    """Compare the vectors of a theory's values with one another and with the theory.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.
    """
    with run.stage("load"):
        material = read_material(settings, run)
    expected = expected_distances(settings.theory, material.values)
    with run.stage("compare"):
        cosines = cosine_matrix(material.vectors)
        tested = mantel_test(cosines, expected.distances, settings.permutations, np.random.default_rng(settings.seed))
        points, share = scaled(chord_distances(cosines))
        if expected.positions is not None:
            points = turned(points, expected.positions)
    with run.stage("intervals"):
        spans = intervals(material.sides, cosines, expected.distances, settings.seed)
    table = _values_table(settings.theory, material, cosines, points, expected)
    summary = {
        "task": "geometry",
        "theory": settings.theory.name,
        "source": material.source,
        "shape": expected.shape,
        "values": len(material.values),
        "dimension": material.vectors.shape[1],
        "correlation": tested.correlation,
        "low": spans.correlation[0],
        "high": spans.correlation[1],
        "p": tested.p,
        "least_p": tested.least_p,
        "permutations": tested.permutations,
        "exact": tested.exact,
        "untested": _why_untested(cosines, expected, tested),
        "share_in_plane": share,
        "noisy": table.loc[table["reliability"] < _MOSTLY_CHANCE, "value"].tolist(),
        "texts": material.texts,
        "neutral": material.neutral,
        "without_vector": material.without_vector,
        "of_no_anchor": material.of_no_anchor,
        "left_out": material.left_out,
        "vidb_sha256": material.vidb_sha256,
        "settings": settings.model_dump(include={"model", "vectors", "vidb", "permutations", "on_bad_row"}),
    }
    return Geometry(table=table, pairs=_pairs_table(material.values, cosines, spans, expected), summary=summary)


def _why_untested(cosines: Floats, expected: Expected, tested: MantelTest) -> str | None:
    """Say why there is no test, or none that could find anything; None where there is one."""
    if np.isnan(tested.correlation):
        pairs = np.triu_indices(len(cosines), 1)
        if np.ptp(expected.distances[pairs]) == 0:
            return "the theory puts all of these values equally far apart, so there is nothing to compare with"
        return "all cosines are equal"
    if tested.least_p > SIGNIFICANT:
        return f"too few values for a test: with a perfect correlation p would be {tested.least_p:.2g}"
    return None


def _values_table(
    theory: Theory, material: Material, cosines: Floats, points: Floats, expected: Expected
) -> pd.DataFrame:
    others = np.where(np.eye(len(cosines), dtype=bool), np.nan, cosines)
    nearest, farthest = np.nanargmax(others, axis=1), np.nanargmin(others, axis=1)
    rows = np.arange(len(cosines))
    sides = material.sides
    table: dict[str, Any] = {
        "value": material.values,
        "label": [theory.nodes[value].label for value in material.values],
        "parents": [_parents(theory, value) for value in material.values],
        "supporting": [len(own.supporting) for own in sides] if sides else None,
        "opposing": [len(own.opposing) for own in sides] if sides else None,
        "reliability": [reliability(own) for own in sides] if sides else np.nan,
        "length": np.linalg.norm(material.vectors, axis=1),
        "x": points[:, 0],
        "y": points[:, 1],
        "nearest": [material.values[place] for place in nearest],
        "nearest_cosine": cosines[rows, nearest],
        "farthest": [material.values[place] for place in farthest],
        "farthest_cosine": cosines[rows, farthest],
    }
    if expected.positions is not None:
        table |= {"theory_x": expected.positions[:, 0], "theory_y": expected.positions[:, 1]}
    return pd.DataFrame(table)


def _pairs_table(values: tuple[str, ...], cosines: Floats, spans: Intervals, expected: Expected) -> pd.DataFrame:
    first, second = np.triu_indices(len(values), 1)
    names = np.array(values, dtype=object)
    return pd.DataFrame(
        {
            "value": names[first],
            "other": names[second],
            "cosine": cosines[first, second],
            "low": spans.low[first, second],
            "high": spans.high[first, second],
            "distance": chord_distances(cosines)[first, second],
            "theory_distance": expected.distances[first, second].astype(np.int64),
        }
    )


def _parents(theory: Theory, value: str) -> str:
    return " / ".join(theory.nodes[parent].label for parent in theory.nodes[value].parents)
