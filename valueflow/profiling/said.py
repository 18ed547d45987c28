"""Texts and who said them: read from a table or from models' responses, and the means of the groups."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.evaluation import Sayings, means_by_group, query_clusters
from valueflow.profiling.differences import GroupEstimate
from valueflow.profiling.estimates import GroupMean
from valueflow.profiling.measuring import MeasuredValue
from valueflow.responses import load_responses
from valueflow.run import BadRows, InputError, as_texts, nearest, read_table, rename_columns, row_number, text_column

SPEAKERS = ("group", "model", "person")
"""Columns that can say who said a text; the first that a table has counts."""

PERSON = "person"
UNSTEERED = ("", "none")
"""What the column `steering` holds of responses that were not steered."""

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SaidTexts:
    """Different texts, and rows that say which group said which of them.

    Attributes
    ----------
    texts
        (T,) no two equal.
    groups
        Names of the G groups, sorted.
    text, group, cluster
        (R,) of each row: numbers of its text, its group, and of whom or what it comes from.
    speaker
        What a group is: group, model or person.
    read, left_out
        Rows of the source, and those that were steered and take no part.
    """

    texts: npt.NDArray[np.object_]
    groups: tuple[str, ...]
    text: IntArray
    group: IntArray
    cluster: IntArray
    speaker: str
    read: int
    left_out: int = 0

    @classmethod
    def of(
        cls,
        texts: npt.NDArray[np.object_],
        groups: npt.NDArray[np.object_],
        cluster: IntArray,
        speaker: str,
        *,
        left_out: int = 0,
    ) -> "SaidTexts":
        """Return rows with their texts and groups numbered."""
        distinct, text = np.unique(texts, return_inverse=True)
        names, group = np.unique(groups, return_inverse=True)
        read = len(texts) + left_out
        return cls(distinct, tuple(names.tolist()), text, group, cluster, speaker, read, left_out)

    def spread(self, relevance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the relevance (T, V) of texts to values as it counts: each text's own."""
        return relevance

    def sizes(self) -> IntArray:
        """Return the number of rows of each group, (G,)."""
        return np.bincount(self.group, minlength=len(self.groups))

    def unrelated(self, related: npt.NDArray[np.bool_]) -> int:
        """Return how many rows bear on no value, given which texts bear on which (T, V)."""
        bears = np.asarray(related.any(axis=1), dtype=np.bool_)
        return int((~bears[self.text]).sum())

    def means(
        self, measured: MeasuredValue, weights: npt.NDArray[np.float64] | None, *, judge_check: bool
    ) -> list[GroupMean]:
        """Return the mean of each group on a value; `weights` (T,) say how much each text counts."""
        place = np.full(len(self.texts), -1, dtype=np.int64)
        place[measured.texts] = np.arange(len(measured.texts))
        rows = np.flatnonzero(place[self.text] >= 0)
        texts = self.text[rows]
        sayings = Sayings(
            place[texts],
            self.group[rows],
            len(self.groups),
            self.cluster[rows],
            None if weights is None else weights[texts],
        )
        found = means_by_group(measured.ranked, len(measured.texts), measured.fits, sayings, judge_check=judge_check)
        clusters = sayings.clusters[found.rows]
        result, start = [], 0
        for mean in found.means:
            own = clusters[start : start + len(mean.influence)]
            start += len(own)
            estimate = GroupEstimate(
                mean.mean, mean.influence, own, mean.responses_se**2, np.nan_to_num(mean.beta_shift)
            )
            counted = int((~np.isnan(mean.influence)).sum())
            result.append(GroupMean(mean.mean, mean.se, mean.low, mean.high, counted, mean.clusters, estimate))
        return result


def read_said(source: str, columns: Mapping[str, str | None], by: str | None, bad_rows: BadRows) -> SaidTexts:
    """Read a table of texts and who said them.

    Parameters
    ----------
    source
        What `read_table` takes.
    columns
        Our column name -> the table's.
    by
        Whose profile is wanted: group, model or person; None: the first of these that the table has.

    Raises
    ------
    InputError
        The table cannot be read, has no such column, or a row has no text or does not say whose it is.
    """
    where = f"input: {source}"
    known = {ours: columns.get(ours, ours) for ours in ("text", *SPEAKERS)}
    frame = read_table(source, "input")
    there = [str(column) for column in frame.columns]
    wanted = {ours: theirs for ours, theirs in known.items() if theirs in there or theirs != ours}
    frame = rename_columns(frame, wanted, ["text"], where)
    speaker = _speaker(frame, by, there, where)
    frame = bad_rows.left(frame, where, texts=["text", speaker])
    if frame.empty:
        raise InputError(f"{where} holds no row that can be used")
    texts = text_column(frame, "text", where)
    names = _names(frame, speaker, where)
    cluster = np.arange(len(frame))
    if PERSON in frame and speaker != PERSON:
        persons = as_texts(frame[PERSON], where)
        codes = pd.factorize(persons)[0]
        # Who is not named is nobody else.
        cluster = np.where(persons == "", len(frame) + cluster, codes)
    return SaidTexts.of(texts, names, cluster.astype(np.int64), speaker)


def read_models(source: str, columns: Mapping[str, str | None], bad_rows: BadRows) -> SaidTexts:
    """Read the unsteered responses of models.

    Parameters
    ----------
    source
        What `load_responses` takes: a file, or a folder with files `responses.csv`.
    columns
        Our column name -> the table's; only that of `model` counts.

    Raises
    ------
    InputError
        The source cannot be read, does not say which model responded, or holds none that was not steered.
    """
    renamed = {"model": columns["model"]} if columns.get("model", "model") != "model" else {}
    frame, where = load_responses(source, renamed, bad_rows)
    if "model" not in frame:
        raise InputError(
            f"responses: {where} has no column 'model', which says who responded; {nearest('model', frame.columns)}"
        )
    left_out = 0
    if "steering" in frame:
        unsteered = frame["steering"].str.strip().isin(UNSTEERED).to_numpy()
        if not unsteered.any():
            raise InputError(
                f"responses: every response in {where} was steered; a model's own values show in those of steering=none"
            )
        left_out = int((~unsteered).sum())
        frame = frame[unsteered]
    names = _names(frame, "model", f"responses: {where}")
    texts = frame["response"].to_numpy(dtype=object)
    said = SaidTexts.of(texts, names, query_clusters(frame), "model", left_out=left_out)
    return replace(said, read=len(frame) + left_out)


def _speaker(frame: pd.DataFrame, by: str | None, there: list[str], where: str) -> str:
    if by is not None:
        if by not in frame:
            raise InputError(
                f"{where}: no column '{by}' says who said each text; name it: input_columns.{by}=..., "
                f"{nearest(by, there)}"
            )
        return by
    speaker = next((column for column in SPEAKERS if column in frame), None)
    if speaker is None:
        raise InputError(
            f"{where}: no column 'group', 'model' or 'person' says who said each text; name one: "
            f"input_columns.group=..., {nearest('group', there)}"
        )
    return speaker


def _names(frame: pd.DataFrame, speaker: str, where: str) -> npt.NDArray[np.object_]:
    names = np.array([name.strip() for name in as_texts(frame[speaker], where)], dtype=object)
    blank = np.flatnonzero(names == "")
    if len(blank):
        more = f" (and in {len(blank) - 1} more rows)" if len(blank) > 1 else ""
        raise InputError(
            f"{where}, row {row_number(frame, int(blank[0]))}, column '{speaker}': it does not say who said the text"
            f"{more}; every row needs one"
        )
    return names
