"""A hierarchy with counts, as a picture."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from valueflow.run import picture_text, save_picture
from valueflow.theory import Theory

_COLORS = ("#0072B2", "#56B4E9", "#009E73", "#E69F00")  # Okabe and Ito 2008
_INCHES_A_LINE = 0.24


def draw_hierarchy(theory: Theory, paths: Sequence[tuple[str, ...]], file: Path) -> None:
    """Draw a theory's hierarchy as a tree of bars and save it as SVG.

    Parameters
    ----------
    theory
        Its nodes are the lines, indented by level; one with two parents stands below each of them.
    paths
        One a text. A line's bar is as long as the number of texts whose path leads to or through it; the dark part are
        those that ended there.
    file
        Where to.
    """
    through = Counter(path[:level] for path in paths for level in range(1, len(path) + 1))
    ended = Counter(paths)
    lines = list(_lines(theory, ()))
    figure = Figure(figsize=(9, _INCHES_A_LINE * len(lines) + 1.0), layout="constrained")
    panel = figure.subplots()
    places = range(len(lines))
    colors = [_COLORS[(len(line) - 1) % len(_COLORS)] for line in lines]
    panel.barh(places, [through[line] for line in lines], color=colors, alpha=0.4)
    panel.barh(places, [ended[line] for line in lines], color=colors)
    for place, line in enumerate(lines):
        panel.annotate(
            f"{through[line]:,}", (through[line], place), xytext=(3, 0), textcoords="offset points", va="center", size=8
        )
    labels = ["    " * (len(line) - 1) + picture_text(theory.nodes[line[-1]].label) for line in lines]
    panel.set_yticks(places, labels, size=8, ha="left")
    panel.tick_params(axis="y", length=0, pad=200)
    panel.invert_yaxis()
    panel.set_xlabel("texts; dark: those that ended here")
    panel.spines[["top", "right", "left"]].set_visible(False)
    save_picture(figure, file)


def _lines(theory: Theory, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    below = theory.children(path[-1]) if path else theory.top
    for node in below:
        yield (*path, node)
        yield from _lines(theory, (*path, node))
