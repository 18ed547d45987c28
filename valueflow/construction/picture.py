"""The distribution of a database's ratings, as a picture."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from valueflow.run import save_picture
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY

_PUBLISHED, _LEFT_OUT = "#0072B2", "#E69F00"  # Okabe and Ito 2008


def draw_distribution(
    rating: npt.NDArray[np.float64], error: npt.NDArray[np.float64], is_published: npt.NDArray[np.bool_], file: Path
) -> None:
    """Draw how many texts have which rating, and how certain each is, and save it as SVG.

    Parameters
    ----------
    rating, error
        (N,) ratings in [-10, 10] and their standard errors.
    is_published
        (N,) whether a text is in the database; the others are flagged.
    file
        Where to.
    """
    figure = Figure(figsize=(7, 5), layout="constrained")
    counts, errors = figure.subplots(2, 1, sharex=True)
    edges = np.linspace(LOWEST_INTENSITY, HIGHEST_INTENSITY, 21)
    counts.hist([rating[is_published], rating[~is_published]], edges, stacked=True, color=[_PUBLISHED, _LEFT_OUT])
    counts.set_ylabel("texts")
    for chosen, color, name in ((is_published, _PUBLISHED, "published"), (~is_published, _LEFT_OUT, "left out")):
        errors.plot(rating[chosen], error[chosen], ".", color=color, label=name)
    errors.set_ylabel("standard error")
    errors.set_xlabel("rating")
    errors.legend()
    for panel in (counts, errors):
        panel.spines[["top", "right"]].set_visible(False)
    save_picture(figure, file)
