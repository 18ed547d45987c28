"""Which texts train, which are watched for choosing settings, and which test once."""

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.hives.data.minhash import near_duplicates
from valueflow.hives.data.sources import check_names, left_out_by_reason, load_rows, load_table
from valueflow.hives.data.table import TrainingTable, training_table
from valueflow.hives.settings import DataSettings
from valueflow.run import keyed_uniforms, row_keys

TRAINING, VALIDATION, TEST = "training", "validation", "test"
"""The three parts of texts."""

_SEEN = "training texts that are validation or test texts too, or nearly"

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


def load_splits(given: DataSettings, seed: int) -> Splits:
    """Read the data and part its texts.

    Validation and test are the tables given for them or, where none is given, `held_out` of `data.train` each. Texts of
    `data.train` that stand in a table given for another part too, or nearly, are not trained on.

    Raises
    ------
    InputError
        As in `load_rows`.
    """
    loaded = load_rows(given.train or [], given.theory, rules=given.label_rules)
    check_names(loaded, given.label_rules)
    whole = training_table([source.rows for source in loaded])
    parts = parts_of(whole.texts, given.held_out, seed)
    tables: dict[str, TrainingTable | None] = {}
    elsewhere: list[TrainingTable] = []
    held = np.zeros(len(whole), dtype=bool)
    for part, sources in ((VALIDATION, given.validation), (TEST, given.test)):
        if sources:
            tables[part] = table = load_table(sources, given.theory, rules=given.label_rules)
            elsewhere.append(table)
        else:
            own = parts == part
            tables[part] = whole.take(own) if own.any() else None
            held |= own
    offered = whole.take(~held)
    training = without_texts_of(offered, elsewhere)
    seen = len(offered) - len(training)
    if seen:
        _log.warning(
            "%s training texts are validation or test texts too, or nearly; they are not trained on", f"{seen:,}"
        )
    left_out = left_out_by_reason(loaded) | ({_SEEN: seen} if seen else {})
    return Splits(whole, training, tables[VALIDATION], tables[TEST], left_out)


def without_texts_of(table: TrainingTable, others: list[TrainingTable]) -> TrainingTable:
    """Leave out texts that other tables have too, or nearly, whatever their labels."""
    if not others:
        return table
    # Numbers mean other names in other tables; what matters is the text.
    texts = [text for one in (table, *others) for text in one.texts]
    groups = near_duplicates(texts)
    return table.take(~np.isin(groups[: len(table)], groups[len(table) :]))
