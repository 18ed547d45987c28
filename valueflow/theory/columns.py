"""Places in a theory's hierarchy as tables have them: columns `level_1`, `level_2`, ..., and `direction`."""

from collections.abc import Iterable, Sequence

SUPPORT, OPPOSE, NEUTRAL = "support", "oppose", "neutral"
DIRECTIONS = (SUPPORT, OPPOSE, NEUTRAL)
"""Which side of a value a text takes; codes of directions are places in this."""

_SPELLINGS = {
    "positive": SUPPORT, "negative": OPPOSE, "1": SUPPORT, "+1": SUPPORT, "-1": OPPOSE, "0": NEUTRAL,
    "supports": SUPPORT, "opposes": OPPOSE, "either": NEUTRAL,
}  # fmt: skip
"""What other tables call a direction."""


def direction_of(name: object) -> str:
    """Return the direction that a cell of a table means, `positive`, `-1` and the like included; else its own words."""
    folded = str(name).strip().casefold().removesuffix(".0")
    return _SPELLINGS.get(folded, folded)


def level_columns(columns: Iterable[object]) -> list[str]:
    """Return which of a table's columns hold levels, from the top down."""
    return sorted((str(column) for column in columns if str(column).startswith("level_")), key=level_number)


def level_number(column: str) -> int:
    """Return the number of a level's column; 0 where it has none from 1 to 99."""
    number = column.removeprefix("level_")
    return int(number) if number.isascii() and number.isdecimal() and int(number) < 100 else 0


def columns_of_paths(paths: Sequence[Sequence[str]], depth: int) -> dict[str, list[str]]:
    """Lay paths out in columns `level_1` to `level_<depth>`, empty below their ends."""
    return {
        f"level_{level + 1}": [path[level] if len(path) > level else "" for path in paths] for level in range(depth)
    }
