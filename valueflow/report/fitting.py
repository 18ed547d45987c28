"""What a page leaves out so that it has the size that was asked for."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from valueflow.report.blocks import Block, Image, Lines, Section, Table

_LEFT_OUT = "left out, so that the page is not larger than megabytes allows"
_MARKUP_OF_CELL = 20
"""Bytes of HTML around a cell, at least."""


def fit(sections: Sequence[Section], most: int, size: Callable[[Sequence[Section]], int]) -> list[Section]:
    """Leave out pictures that runs have left, then the beginnings of their tables, largest first, until all fits.

    Parameters
    ----------
    sections
        Of the page.
    most
        Bytes that the page may have; it has more where it does not fit without these, either.
    size
        From sections to the bytes of a page of them.
    """
    over = size(sections) - most
    if over <= 0:
        return list(sections)
    blocks = [(place, number) for place, section in enumerate(sections) for number in range(len(section.blocks))]
    weights = {at: _weight(sections[at[0]].blocks[at[1]]) for at in blocks}
    left_out = set()
    for at in sorted(blocks, key=lambda at: (isinstance(sections[at[0]].blocks[at[1]], Table), -weights[at])):
        if over > 0 and weights[at] > 0:
            over -= weights[at]
            left_out.add(at)
    return [
        replace(
            section,
            blocks=[
                _without(block) if (place, number) in left_out else block for number, block in enumerate(section.blocks)
            ],
        )
        for place, section in enumerate(sections)
    ]


def _weight(block: Block) -> int:
    """Return about how many bytes are saved without a block; 0 where the page needs it."""
    if isinstance(block, Image):
        return len(block.data)
    if isinstance(block, Table) and block.whole:
        return sum(len(cell.encode(errors="replace")) + _MARKUP_OF_CELL for row in block.rows for cell in row)
    return 0


def _without(block: Block) -> Block:
    if isinstance(block, Table):
        return replace(block, rows=[], note=f"Its rows are {_LEFT_OUT}.")
    caption = block.caption if isinstance(block, Image) else ""
    return Lines([f"The picture '{caption}' is {_LEFT_OUT}; it is in the folder of the run."])
