"""A page as a reader that is none of ours sees it: tables, windows, links and texts."""

from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "img", "input", "br", "path", "use"}


class PageReader(HTMLParser):
    """Tables by caption, windows by heading, and what else a page holds.

    A window is a list of items as they were shown: each `RANK: this response` or `RANK: NUMBER-OF-ANCHOR`. Of
    windows of the same heading, the last one is kept.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.texts: dict[str, list[str]] = {}
        """Texts of elements by class."""
        self.headings: list[str] = []
        self.windows: dict[str, list[str]] = {}
        self._paragraph: list[str] = [""]
        self._open: list[tuple[list[list[str]], list[str]]] = []
        self._into: list[str] | None = None
        self._at = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [str(given["id"])] if "id" in given else []
        self.addresses += [str(given[key]) for key in ("href", "src", "action", "xlink:href") if key in given]
        self.handlers += [key for key in given if key.startswith("on")]
        if tag == "table":
            self._open.append(([], []))
        elif tag == "caption":
            self._at, self._into = "caption", self._open[-1][1]
            self._into.append("")
        elif tag == "tr" and self._open:
            self._open[-1][0].append([])
        elif tag in ("td", "th") and self._open:
            self._at = "cell"
            self._into = self._open[-1][0][-1]
            self._into.append("")
        elif tag in ("h1", "h2", "h3"):
            self._into = self.headings
            self._into.append("")
        elif given.get("class") in ("q", "r"):
            self._into = self.texts.setdefault(str(given["class"]), [])
            self._into.append("")
        elif tag == "p":
            self._into = self._paragraph = [""]
        elif tag == "ol":
            self.windows[self._paragraph[0]] = []
        elif tag == "li" and self.windows:
            self._into = self.windows[self._paragraph[0]]
            self._into.append("")
        elif tag in ("details", "ul", "form"):
            self._into = None

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            rows, caption = self._open.pop()
            self.tables["".join(caption)] = rows
        if tag in ("table", "caption", "h1", "h2", "h3", "td", "th", "p", "tr", "ol", "tbody"):
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into is not None:
            self._into[-1] += data


def page_in(folder: Path) -> tuple[str, PageReader]:
    html = (folder / "report.html").read_text(encoding="utf-8")
    return html, PageReader(html)
