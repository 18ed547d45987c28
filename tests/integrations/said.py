"""Texts that the tests of integrations have scored."""

from pathlib import Path

import pandas as pd

from valueflow.integrations.measuring import Said

_ANCHORS = Path(__file__).parents[2] / "valueflow" / "assets" / "anchors.csv"
_FEW = ("benevolence", "universalism", "power")

BASIS = (
    "I gave my neighbor half of my harvest because her roof had burned.",
    "Draw the curtains. Her loneliness is her own business.",
    "I would wait for her to make a move.",
    "I sat with him all night, since nobody else would.",
    "He can look after himself, as I had to.",
)


def texts(n: int) -> list[str]:
    """Return n different texts."""
    return [f"{BASIS[number % len(BASIS)]} That was {number} years ago." for number in range(n)]


def sayings(n: int) -> list[Said]:
    """Return n texts, two to a query."""
    return [Said(f"What now, {number // 2}?", "mine", text) for number, text in enumerate(texts(n))]


def few_anchors() -> pd.DataFrame:
    """Return the packaged anchors of three values, which a judge learns from at once."""
    anchors = pd.read_csv(_ANCHORS)
    return anchors[(anchors["theory"] == "pvq") & anchors["value"].isin(_FEW)].reset_index(drop=True)
