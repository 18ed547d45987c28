"""The page: one HTML file that loads nothing."""

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from valueflow.report.blocks import Section

_TEMPLATES = Path(__file__).parent / "templates"
_LONGEST_CELL = 2000
_NO_PLACE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Controls but line ends and tabs, and halves of characters."""
_BOUND = re.compile(r"<\s*(\d*\.?\d+)")
_BELOW = 0.999
_SHARE = re.compile(r"[\d,]+ of [\d,]+: (\d+(?:\.\d+)?)%")


def render_page(title: str, sections: Sequence[Section]) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    title
        Its heading.
    sections
        Its parts, in order.
    """
    script = (_TEMPLATES / "script.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = (_TEMPLATES / "style.css").read_text(encoding="utf-8")
    # The two files are ours and hold no texts of users.
    made = {"script": Markup(script), "style": Markup(style), "digest": Markup(digest)}
    return str(render("page.html", {"title": title, "sections": sections, **made}))


def render(template: str, variables: dict[str, Any]) -> Markup:
    """Fill a template; what it is given is text unless it is markup."""
    return Markup(_environment().get_template(template).render(variables))


def shown_text(text: object, longest: int = _LONGEST_CELL) -> Markup:
    """Return a text as it can stand in a page, whatever it holds.

    Control characters, which HTML has no place for, are replaced by their pictures, halves of characters by U+FFFD, and
    line ends as on Windows (CR LF) by LF. What is cut off is counted.

    Parameters
    ----------
    text
        Of a user, a model or a file.
    longest
        Characters that are shown.
    """
    if isinstance(text, Markup):
        return text
    whole = str(text)
    beginning = _shown_letters(whole[:longest])
    if len(whole) <= longest:
        return escape(beginning)
    return escape(beginning) + Markup('<span class="cut">... cut: {} characters in all</span>').format(
        f"{len(whole):,}"
    )


def plain_text(text: object, longest: int = 200) -> str:
    """Return a text as it can stand in an attribute, cut where it is longer; as `shown_text`, but for the count."""
    whole = str(text)
    cut = whole if len(whole) <= longest else f"{whole[: longest - 3]}..."
    return _shown_letters(cut)


def sort_key(figure: str) -> str:
    """Return the number that a figure is sorted by, where it is not the one that its text begins with; else empty.

    A bound such as `<.001` comes before the bound itself, a share such as `2 of 3: 66.7%` goes by its percentage.
    """
    if bound := _BOUND.match(figure):
        return f"{float(bound[1]) * _BELOW:g}"
    share = _SHARE.match(figure)
    return share[1] if share else ""


def _shown_letters(text: str) -> str:
    return _NO_PLACE.sub(_picture, text.replace("\r\n", "\n"))


def _picture(found: re.Match[str]) -> str:
    """Return what stands for a letter that HTML has no place for."""
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown_text
    environment.filters["sort_key"] = sort_key
    environment.filters["plain"] = plain_text
    return environment
