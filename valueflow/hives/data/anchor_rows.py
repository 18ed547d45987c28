"""VIDB anchors as rows of a training table: the sign of an intensity is its direction."""

from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd

from valueflow.hives.data.table import CONCEPT, INDIVIDUAL
from valueflow.theory import NEUTRAL, OPPOSE, SUPPORT, Theory, find_theory, level_columns
from valueflow.vidb import Vidb

NEUTRAL_BELOW = 1.0
"""Anchors whose intensity is closer to 0 than this are neutral."""

_CONCEPTS = "concepts.csv"


def anchor_rows(vidb: Vidb) -> pd.DataFrame:
    """Turn anchors into rows of a training table, one for each path of an anchor's value.

    A value of a theory that is not packaged is a hierarchy of one level. The columns are `text`, `theory`, the levels,
    `direction` (support from an intensity of 1, oppose from -1 down, else neutral), and those of stage 2.
    """
    parts = []
    for anchors in vidb.anchors:
        theory = find_theory(anchors.theory)
        sides = np.where(anchors.intensities > 0, SUPPORT, OPPOSE)
        directions = np.where(np.abs(anchors.intensities) < NEUTRAL_BELOW, NEUTRAL, sides)
        for levels in level_rows(theory, anchors.value):
            parts.append(
                pd.DataFrame(
                    {"text": anchors.texts, "theory": anchors.theory, **levels, "direction": directions.astype(object)}
                )
            )
    return with_stage_2(pd.concat(parts, ignore_index=True).fillna(""))


def level_rows(theory: Theory | None, value: str) -> list[dict[str, str]]:
    """Return the levels of each path to a value: `{"level_1": "growth", ...}`; the value alone without a theory."""
    paths = ((value,),) if theory is None else theory.paths(value)
    return [{f"level_{number}": name for number, name in enumerate(path, start=1)} for path in paths]


def with_stage_2(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the ids of stage 2 to rows of a training table.

    `selected_individual` is the deepest value of the row in its theory with the direction: texts of one value that take
    the same side. `selected_anchor` is the concept, shared by several theories, that this value belongs to
    (`assets/concepts.csv`), with the direction; it is empty for values that no other theory has a counterpart of.
    """
    concepts = _concepts()
    levels = level_columns(rows)
    individuals, shared = [], []
    for row in rows[["theory", *levels, "direction"]].to_numpy(dtype=str):
        path = [name for name in row[1:-1] if name]
        individuals.append(f"{row[0]}/{path[-1]}/{row[-1]}")
        named = (concepts.get((row[0], name)) for name in reversed(path))
        concept = next((name for name in named if name), None)
        shared.append(f"{concept}/{row[-1]}" if concept else "")
    return rows.assign(**{INDIVIDUAL: individuals, CONCEPT: shared})


@cache
def _concepts() -> dict[tuple[str, str], str]:
    table = pd.read_csv(str(files("valueflow") / "assets" / _CONCEPTS), dtype=str)
    return {(theory, value): concept for concept, theory, value in table[["concept", "theory", "value"]].to_numpy()}
