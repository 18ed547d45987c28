"""What all pictures share: colors, texts, and files that are the same for the same results."""

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valueflow.run.errors import shorten
from valueflow.run.outputs import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE_FORMATS = ("png", "svg")
PICTURE_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")  # Okabe and Ito 2008

_LONGEST = 200


def save_picture(figure: "Figure", path: Path, *, dpi: float = 150, more: Mapping[str, Any] | None = None) -> None:
    """Write a figure, whole or not at all, in the format of its path's suffix.

    Parameters
    ----------
    figure, path
        What, and where to.
    dpi
        Pixels per inch.
    more
        Further arguments of `savefig`.
    """
    from matplotlib import rc_context

    # Fixed salt and no date: the same results give the same file.
    metadata = {"Date": None} if path.suffix == ".svg" else None
    with rc_context({"svg.hashsalt": "valueflow"}), replacing(path) as temporary:
        figure.savefig(temporary, dpi=dpi, metadata=metadata, **(more or {}))


def picture_text(name: str) -> str:
    """Return a name as matplotlib draws it as it is, at most 200 characters of it.

    Dollar signs are no mathematics. Characters that XML does not allow, which would make an SVG file unreadable, are
    replaced. A legend leaves out names that begin with an underscore, so these get a blank before it.
    """
    shown = "".join("\ufffd" if _is_no_xml(letter) else letter for letter in name)
    shown = shorten(shown, _LONGEST).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def _is_no_xml(letter: str) -> bool:
    """Return whether a character is a control, or one that XML 1.0 does not allow."""
    return unicodedata.category(letter) in ("Cc", "Cs") or letter in "\ufffe\uffff"
