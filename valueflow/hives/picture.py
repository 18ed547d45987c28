"""A map of texts: the two principal components of their embeddings, by value and direction."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from valueflow.hives.data import IntArray, Labels
from valueflow.hives.metrics import normalized, values_of_texts
from valueflow.hives.outcome import EncoderMap
from valueflow.run import picture_text, save_picture
from valueflow.theory import DIRECTIONS, find_theory

FloatArray = npt.NDArray[np.float64]

_MARKERS = ("^", "v", "o")  # in the order of DIRECTIONS: support, oppose, neutral
_MOST_TEXTS = 1500  # of a theory; more would cover each other
_INCHES = 3.6


def draw_map(maps: Sequence[EncoderMap], labels: Labels, file: Path) -> None:
    """Draw the texts of each theory as each encoder places them, and save the picture.

    Parameters
    ----------
    maps
        Encoders, a column each, with the (N, D) embeddings of the same texts.
    labels
        Of the texts. A row of panels is a theory; a color is a value, the marker the direction. Texts of several values
        have the color of the first in the theory's order, those that are placed above all values are gray.
    file
        Where to.

    Notes
    -----
    The components are those of the texts of one theory, found for each encoder by itself, so axes of different panels
    have nothing in common but their unit: embeddings have length 1.
    """
    theories = np.unique(labels.theories)
    figure = Figure(figsize=(_INCHES * len(maps) + 2.2, _INCHES * len(theories) + 0.6), layout="constrained")
    panels = figure.subplots(len(theories), len(maps), squeeze=False)
    for row, theory in enumerate(theories):
        texts = _shown(np.flatnonzero(labels.theories == theory))
        own = labels.take(texts)
        colors, legend = _colors(own)
        for column, one in enumerate(maps):
            panel = panels[row, column]
            places, shares = principal_components(normalized(one.vectors[texts]))
            _scatter(panel, places, own, colors)
            panel.set_xlabel(f"{shares[0]:.0%} of the variance", size=8)
            panel.set_ylabel(f"{shares[1]:.0%}", size=8)
            if row == 0:
                panel.set_title(picture_text(one.name), size=9)
        panels[row, 0].annotate(
            picture_text(labels.theory_names[theory]), (0.02, 0.98), xycoords="axes fraction", va="top", weight="bold"
        )
        panels[row, -1].legend(handles=legend, loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=7, frameon=False)
    save_picture(figure, file)


def principal_components(vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the first two principal components of (N, D) vectors, (N, 2), and their shares of the variance, (2,).

    Each component points where its largest coordinate is positive, so that the picture is the same in every run.
    """
    centered = vectors - vectors.mean(axis=0)
    left, scales, _ = np.linalg.svd(centered, full_matrices=False)
    components = np.zeros((len(vectors), 2))
    shares = np.zeros(2)
    n = min(2, len(scales))
    components[:, :n] = left[:, :n] * scales[:n]
    shares[:n] = scales[:n] ** 2 / max(float((scales**2).sum()), np.finfo(float).tiny)
    extremes = components[np.abs(components).argmax(axis=0), np.arange(2)]
    return components * np.where(extremes < 0, -1.0, 1.0), shares


def _shown(rows: IntArray) -> IntArray:
    """Return evenly spaced rows where there are too many."""
    if len(rows) <= _MOST_TEXTS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, _MOST_TEXTS).astype(np.int64)]


def _colors(labels: Labels) -> tuple[list[Any], list[Line2D]]:
    """Return the color of each text, and the lines of a legend."""
    names, values = values_of_texts(labels)
    theory = find_theory(labels.theory_names[int(labels.theories[0])])
    order = sorted(range(len(names)), key=lambda column: theory.values.index(names[column]) if theory else column)
    palette = colormaps["tab20"]
    color_of = {column: palette(place % 20) for place, column in enumerate(order)}
    first = [next((column for column in order if own[column]), None) for own in values]
    colors: list[Any] = ["lightgray" if column is None else color_of[column] for column in first]
    lines = [
        Line2D([], [], marker="s", linestyle="", color=color_of[column], label=picture_text(names[column]))
        for column in order
    ]
    lines += [
        Line2D([], [], marker=marker, linestyle="", color="dimgray", label=name)
        for marker, name in zip(_MARKERS, DIRECTIONS, strict=True)
    ]
    return colors, lines


def _scatter(panel: Axes, places: FloatArray, labels: Labels, colors: Sequence[Any]) -> None:
    for code, marker in enumerate(_MARKERS):
        rows = np.flatnonzero(labels.directions == code)
        if rows.size:
            panel.scatter(
                places[rows, 0], places[rows, 1], s=12, marker=marker, linewidths=0, alpha=0.8,
                c=[colors[row] for row in rows.tolist()],
            )  # fmt: skip
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_aspect("equal", adjustable="datalim")
