"""What the pictures of evaluations share: colors, labels, and files that are the same for the same results."""

from pathlib import Path
from typing import TYPE_CHECKING

from valueflow.run import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")  # Okabe and Ito 2008


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure, whole or not at all, in the format of its path's suffix."""
    from matplotlib import rc_context

    # Fixed salt and no date: the same results give the same file.
    with rc_context({"svg.hashsalt": "valueflow"}), replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def literal(name: str) -> str:
    """Keep matplotlib from reading dollar signs as mathematics."""
    return name.replace("$", r"\$")
