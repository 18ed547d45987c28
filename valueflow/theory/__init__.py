"""Value theories: hierarchies of values with names and definitions."""

from valueflow.theory.columns import (
    DIRECTIONS,
    NEUTRAL,
    OPPOSE,
    SUPPORT,
    columns_of_paths,
    direction_of,
    level_columns,
    level_number,
)
from valueflow.theory.files import read_definitions, theory_from_file
from valueflow.theory.hierarchy import Node, Theory, normalize_name
from valueflow.theory.library import (
    choose_theory,
    find_theory,
    known_theories,
    load_theory,
    theory_from_mapping,
    theory_of,
)
from valueflow.theory.settings import TheorySettings

__all__ = [
    "DIRECTIONS",
    "NEUTRAL",
    "OPPOSE",
    "SUPPORT",
    "Node",
    "Theory",
    "TheorySettings",
    "choose_theory",
    "columns_of_paths",
    "direction_of",
    "find_theory",
    "known_theories",
    "level_columns",
    "level_number",
    "load_theory",
    "normalize_name",
    "read_definitions",
    "theory_from_file",
    "theory_from_mapping",
    "theory_of",
]
