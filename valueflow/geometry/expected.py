"""How far apart a theory puts its values: by steps around its circle, or along its hierarchy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from valueflow.geometry.similarity import Floats
from valueflow.theory import Theory

Shape = Literal["circle", "hierarchy"]


@dataclass(frozen=True)
class Expected:
    """What a theory says of the distances between values.

    Attributes
    ----------
    shape
        Where the values lie.
    distances
        (V, V): steps to the neighbor and on, the shorter way around the circle; or steps to a parent or a child.
    positions
        (V, 2) places on the circle of radius 1; None for a hierarchy.
    """

    shape: Shape
    distances: Floats
    positions: Floats | None


def expected_distances(theory: Theory, values: Sequence[str]) -> Expected:
    """Return how far apart a theory puts some of its values.

    Parameters
    ----------
    theory
        With a circle, that counts; else the hierarchy, in which what has no parent is below one point. Where there are
        several paths from a value to another, the shortest counts.
    values
        V ids. Values that are not among them keep their places on the circle.
    """
    if theory.circle:
        places = np.array([theory.circle.index(value) for value in values])
        around = len(theory.circle)
        steps = np.abs(places[:, None] - places)
        angles = 2 * np.pi * places / around
        positions = np.column_stack([np.sin(angles), np.cos(angles)])
        return Expected("circle", np.minimum(steps, around - steps).astype(np.float64), positions)
    return Expected("hierarchy", _steps_in_hierarchy(theory, values), None)


def _steps_in_hierarchy(theory: Theory, values: Sequence[str]) -> Floats:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import shortest_path  # here: few runs need them

    places = {node: place for place, node in enumerate(theory.nodes)}
    top = len(places)
    edges = [
        (places[node], places[parent] if parent is not None else top)
        for node, its in theory.nodes.items()
        for parent in (its.parents or (None,))
    ]
    below, above = np.array(edges).T
    graph = coo_array((np.ones(len(edges)), (below, above)), shape=(top + 1, top + 1)).tocsr()
    own = [places[value] for value in values]
    steps = shortest_path(graph, directed=False, unweighted=True, indices=own)
    return np.asarray(steps[:, own], dtype=np.float64)
