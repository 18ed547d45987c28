"""Value theories: hierarchies of values with names and definitions."""

from valueflow.theory.hierarchy import Node, Theory, normalise_name
from valueflow.theory.library import (
    choose_theory,
    find_theory,
    known_theories,
    load_theory,
    theory_from_mapping,
    theory_of,
)

__all__ = [
    "Node",
    "Theory",
    "choose_theory",
    "find_theory",
    "known_theories",
    "load_theory",
    "normalise_name",
    "theory_from_mapping",
    "theory_of",
]
