"""Drawings in a page: SVG without addresses, whose ids are the page's own and whose ink is that of the text."""

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

from valueflow.report.page import plain_text

_INK = "#0a0b0c"
"""A color that no drawing uses otherwise; the color of the page's text takes its place."""

_THEME: dict[Any, Any] = {
    "svg.fonttype": "none",
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK),
    **dict.fromkeys(("figure.facecolor", "savefig.facecolor", "axes.facecolor", "legend.facecolor"), "none"),
}
_GROUND = "#ffffff"
"""What is left empty in a drawing, such as the inside of a marker, has the color of the page."""

_LEFT_OUT = ("metadata", "style", "title", "desc")
_REFERENCE = re.compile(r"#([A-Za-z][\w.-]*)")
_FONT = re.compile(r"(font(?:-family)?:[^;']*)'[^;]*")
_UNTURNED = re.compile(r"rotate\(-?0 ")
_LONG_NUMBER = re.compile(r"(\d\.\d\d)\d+")
_PIXELS_PER_POINT = 4 / 3


def inline_svg(draw: Callable[[Path], object], name: str, alt: str) -> Markup:
    """Draw, and return the SVG as it stands in a page.

    Parameters
    ----------
    draw
        Draws into the SVG file whose path it is given.
    name
        Begins the ids of the drawing; each drawing of a page has another.
    alt
        Alternative text.
    """
    from matplotlib import rc_context

    with tempfile.TemporaryDirectory() as folder, rc_context(_THEME):
        file = Path(folder) / "drawing.svg"
        draw(file)
        return Markup(_inlined(file.read_text(encoding="utf-8"), name, alt))


def _inlined(svg: str, name: str, alt: str) -> str:
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        for child in list(element):
            if _local(child.tag) in _LEFT_OUT:
                element.remove(child)
    used = {match for element in root.iter() for match in _references(element)}
    for element in root.iter():
        element.tag = _local(element.tag)
        kept = {_local(key): entry for key, entry in element.attrib.items() if not _UNTURNED.match(entry)}
        if kept.get("id") not in used:
            kept.pop("id", None)
        element.attrib.clear()
        element.attrib.update({key: _own(key, entry, name) for key, entry in kept.items()})
        # Lines and indents of the file; nobody reads them.
        element.text, element.tail = ((text or "").strip() or None for text in (element.text, element.tail))
    width = float(root.get("viewBox", "0 0 0 0").split()[2]) * _PIXELS_PER_POINT
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    # A blank text would leave the drawing without a name.
    root.attrib.update(
        {
            "class": "drawing",
            "role": "img",
            "aria-label": plain_text(alt, len(alt)),
            "style": f"--wide: {width:.0f}px",
        }
    )
    return ElementTree.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    """Return a name without its namespace."""
    return name.rpartition("}")[2]


def _references(element: ElementTree.Element) -> Iterator[str]:
    for key, entry in element.attrib.items():
        if _local(key) == "href" or "url(" in entry:
            yield from _REFERENCE.findall(entry)


def _own(key: str, entry: str, name: str) -> str:
    """Return an attribute with the page's ids, ink and fonts, and coordinates to a hundredth of a point."""
    if key == "id":
        return f"{name}-{entry}"
    if key == "href" or "url(" in entry:
        return _REFERENCE.sub(rf"#{name}-\1", entry)
    if key == "d":
        return " ".join(_LONG_NUMBER.sub(r"\1", entry).split())
    if key in ("x", "y", "transform", "points"):
        return _LONG_NUMBER.sub(r"\1", entry)
    return _FONT.sub(r"\1sans-serif", entry).replace(_INK, "currentColor").replace(_GROUND, "var(--ground)")
