"""Which texts train, which are watched for choosing settings, and which test once."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.hives.data.minhash import near_duplicates
from valueflow.hives.data.sources import SourceRows, check_names, left_out_by_reason, load_rows
from valueflow.hives.data.table import TrainingTable, training_table
from valueflow.hives.data.trained_texts import TRAINED_ON, Keys, without_trained_on
from valueflow.hives.settings import DataSettings
from valueflow.run import keyed_uniforms, row_keys

TRAINING, VALIDATION, TEST = "training", "validation", "test"
"""The three parts of texts."""

_SEEN = {
    VALIDATION: "validation texts that are test texts too, or nearly",
    TRAINING: "training texts that are validation or test texts too, or nearly",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Splits:
    """The texts of a training by part; None where a part has no texts.

    `whole` is all of `data.train`; `left_out` counts what of it has no place in any part, by reason. `training` may be
    empty.
    """

    whole: TrainingTable
    training: TrainingTable
    validation: TrainingTable | None
    test: TrainingTable | None
    left_out: dict[str, int]

    def part(self, name: str) -> TrainingTable | None:
        """Return the validation or test texts."""
        return self.validation if name == VALIDATION else self.test


def parts_of(texts: npt.NDArray[np.object_], share: float, seed: int) -> npt.NDArray[np.str_]:
    """Return the part of each of N texts: `training`, `validation` or `test`.

    A text's part is decided by a hash of it, or of the alphabetically first of its near-duplicates, which all have one
    part. So it is the same in any order and in both stages of training. Of all possible texts a `share` is in
    validation and as many in test; a larger share adds to both and removes from neither. Another seed draws others.
    """
    firsts = texts[near_duplicates(texts.tolist())]
    places = keyed_uniforms(row_keys(pd.DataFrame({"text": firsts}), seed), 1)[:, 0]
    return np.where(places < share, VALIDATION, np.where(places >= 1 - share, TEST, TRAINING))


def load_splits(given: DataSettings, seed: int, *, learned: Keys | None = None) -> Splits:
    """Read the data and split its texts.

    Validation and test are the tables given for them or, where none is given, `held_out` of `data.train` each. A text
    that stands in several of these, or nearly, is left where it is of most use: first in the test, then in validation.
    Texts with one of the `learned` keys, which an encoder was trained on before, are neither validation nor test texts.

    Raises
    ------
    InputError
        As in `load_rows`.
    """
    loaded = load_rows(given.train or [], given.theory, rules=given.label_rules)
    tables = _given_tables(given)
    check_names([*loaded, *chain.from_iterable(tables.values())], given.label_rules)
    whole = training_table([source.rows for source in loaded])
    parts = parts_of(whole.texts, given.held_out, seed)
    left_out = left_out_by_reason(loaded)
    kept: dict[str, TrainingTable] = {}
    held = np.zeros(len(whole), dtype=bool)
    for part in (TEST, VALIDATION, TRAINING):
        if part in tables:
            offered = training_table([source.rows for source in tables[part]])
        else:
            own = ~held if part == TRAINING else parts == part
            offered = whole.take(own)
            held |= own
        kept[part] = without_texts_of(offered, list(kept.values()))
        seen = {_SEEN.get(part, ""): len(offered) - len(kept[part])}
        if part != TRAINING and learned is not None:
            before = len(kept[part])
            kept[part] = without_trained_on(kept[part], learned)
            seen[f"{part} {TRAINED_ON}"] = before - len(kept[part])
        for reason, count in seen.items():
            if count:
                left_out[reason] = count
                _tell(count, reason)
    validation, test = (kept[part] if len(kept[part]) else None for part in (VALIDATION, TEST))
    return Splits(whole, kept[TRAINING], validation, test, left_out)


def load_given(given: DataSettings, part: str) -> TrainingTable:
    """Read the table that is given for validation or test, without looking at `data.train`.

    Validation texts that stand in the table for the test, or nearly, are left out, as `load_splits` leaves them out.

    Raises
    ------
    InputError
        As in `load_rows`.
    """
    tables = _given_tables(given, (part,) if part == TEST else (TEST, VALIDATION))
    if not given.train:
        check_names(list(chain.from_iterable(tables.values())), given.label_rules)
    by_part = {name: training_table([source.rows for source in loaded]) for name, loaded in tables.items()}
    offered = by_part.pop(part)
    kept = without_texts_of(offered, list(by_part.values()))
    if len(kept) < len(offered):
        _tell(len(offered) - len(kept), _SEEN[part])
    return kept


def _given_tables(given: DataSettings, parts: Sequence[str] = (TEST, VALIDATION)) -> dict[str, list[SourceRows]]:
    """Return the rows of the tables that are given for these parts."""
    named = {part: given.test if part == TEST else given.validation for part in parts}
    return {
        part: load_rows(sources, given.theory, rules=given.label_rules) for part, sources in named.items() if sources
    }


def _tell(count: int, reason: str) -> None:
    _log.warning("%s %s; they are left out", f"{count:,}", reason)


def without_texts_of(table: TrainingTable, others: list[TrainingTable]) -> TrainingTable:
    """Leave out texts that other tables have too, or nearly, whatever their labels."""
    others = [other for other in others if len(other)]
    if not others:
        return table
    # Numbers mean other names in other tables; what matters is the text.
    texts = [text for one in (table, *others) for text in one.texts]
    groups = near_duplicates(texts)
    return table.take(~np.isin(groups[: len(table)], groups[len(table) :]))
