"""Value theories: hierarchies of values with names and definitions."""

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
    "Node",
    "Theory",
    "TheorySettings",
    "choose_theory",
    "find_theory",
    "known_theories",
    "load_theory",
    "normalize_name",
    "theory_from_mapping",
    "theory_of",
]
