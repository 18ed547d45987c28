"""How often two passes over the same questions are right, and whether one is right more often than the other."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.statistics import (
    Codes,
    Values,
    cluster_codes,
    clustered_mean,
    clustered_share,
    holm,
    sign_flip_p,
)

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Comparison:
    """Two passes over the same n questions, where a question may stand for several groups.

    Attributes
    ----------
    n
        Answers of each pass: one for each question and group.
    default_accuracy, profile_accuracy
        Share of right answers of each pass, with a 95% interval from `_low` to `_high`: Wilson's (1927, Probable
        inference, the law of succession, and statistical inference), clustered by question; see `clustered_share`.
    difference
        Accuracy of the profile pass less that of the default pass, with a paired 95% interval clustered by question,
        within [-1, 1]; see `clustered_mean`. NaN where the differences of right (1) and wrong (0) do not vary, as for
        a single question: they do not tell how far they would.
    only_default, only_profile
        Answers that one pass alone got right.
    mcnemar_p
        Two-sided p of the exact test that both passes are right equally often (McNemar 1947, Note on the sampling error
        of the difference between correlated proportions or percentages); 1 where they never differ. It takes answers
        as independent, so it is NaN where a question stands for several groups.
    questions
        Different questions, the clusters.
    permutation_p
        The same by question, exact; see `sign_flip_p`. Equal to `mcnemar_p` where there is one.
    """

    n: int
    default_accuracy: float
    default_low: float
    default_high: float
    profile_accuracy: float
    profile_low: float
    profile_high: float
    difference: float
    difference_low: float
    difference_high: float
    only_default: int
    only_profile: int
    mcnemar_p: float
    questions: int
    permutation_p: float


@dataclass(frozen=True)
class Measure:
    """A figure of each answer whose mean stands in the table of accuracies.

    Attributes
    ----------
    name
        Column of the mean.
    values
        (n,) NaN where an answer has none.
    kind
        `mean`: nothing else. `interval`: and its clustered 95% interval, `_low` and `_high`. `test`: and the clustered
        two-sided `_p` of a mean of 0, with `_p_holm`.
    count
        Column of how many answers have it; empty: none.
    """

    name: str
    values: Values
    kind: Literal["mean", "interval", "test"]
    count: str = ""


def compare(default: Flags, profile: Flags, questions: Codes | None = None) -> Comparison:
    """Compare two passes.

    Parameters
    ----------
    default, profile
        (n,) whether each pass answered each question rightly; n at least 1.
    questions
        (n,) which question each answer is to, as a number from 0; None: each to another one.
    """
    # Imported here: it takes a second, and only a survey's end needs it.
    from scipy import stats

    n = len(default)
    clusters = np.arange(n) if questions is None else questions
    only_default, only_profile = int((default & ~profile).sum()), int((profile & ~default).sum())
    signs = profile.astype(np.int64) - default.astype(np.int64)
    difference = clustered_mean(signs.astype(np.float64), clusters)
    bounds = [clustered_share(right, clusters) for right in (default, profile)]
    n_questions, apart = int(np.unique(clusters).size), only_default + only_profile
    mcnemar_p = float(stats.binomtest(only_profile, apart).pvalue) if apart else 1.0
    return Comparison(
        n=n,
        default_accuracy=float(default.mean()),
        default_low=bounds[0][0],
        default_high=bounds[0][1],
        profile_accuracy=float(profile.mean()),
        profile_low=bounds[1][0],
        profile_high=bounds[1][1],
        difference=difference.mean,
        difference_low=difference.low,
        difference_high=difference.high,
        only_default=only_default,
        only_profile=only_profile,
        mcnemar_p=mcnemar_p if n_questions == n else np.nan,
        questions=n_questions,
        permutation_p=sign_flip_p(signs, clusters),
    )


def accuracy_table(
    attributes: Sequence[str],
    groups: Sequence[str],
    questions: Sequence[str],
    default: Flags,
    profile: Flags,
    measures: Sequence[Measure] = (),
) -> pd.DataFrame:
    """Compare two passes by attribute, by attribute group, and over all questions.

    Parameters
    ----------
    attributes, groups, questions
        (n,) attribute of each answer's group, what kind of group that is, and the question.
    default, profile
        (n,) as `compare` takes them.
    measures
        Further figures of the answers.

    Returns
    -------
    pandas.DataFrame
        `level` (attribute, group or overall), `name`, the fields of `Comparison`, and the columns of the measures;
        names in alphabetical order. A column `_p_holm` holds p adjusted for the number of tests in its level.
    """
    clusters = cluster_codes(questions)

    def row(level: str, name: str, chosen: npt.NDArray[np.intp]) -> dict[str, object]:
        compared = compare(default[chosen], profile[chosen], clusters[chosen])
        further = dict(_columns(measures, clusters, chosen))
        return {"level": level, "name": name, **asdict(compared), "permutation_p_holm": np.nan, **further}

    def rows() -> Iterator[dict[str, object]]:
        for level, labels in (("attribute", attributes), ("group", groups)):
            codes = cluster_codes(labels)
            for name in sorted(set(labels)):
                yield row(level, name, np.flatnonzero(codes == codes[labels.index(name)]))
        yield row("overall", "overall", np.arange(len(default)))

    table = pd.DataFrame(rows())
    tests = ("permutation_p", *(f"{measure.name}_p" for measure in measures if measure.kind == "test"))
    for test in tests:
        table[f"{test}_holm"] = table.groupby("level")[test].transform(lambda p: holm(p.to_numpy(dtype=np.float64)))
    return table


def _columns(measures: Iterable[Measure], clusters: Codes, chosen: npt.NDArray[np.intp]) -> Iterator[tuple[str, float]]:
    """Return the columns of the measures for the chosen answers."""
    for measure in measures:
        values = measure.values[chosen]
        known = ~np.isnan(values)
        figure = clustered_mean(values[known], clusters[chosen][known])
        if measure.count:
            yield measure.count, int(known.sum())
        yield measure.name, figure.mean
        if measure.kind != "mean":
            yield f"{measure.name}_low", figure.low
            yield f"{measure.name}_high", figure.high
        if measure.kind == "test":
            yield f"{measure.name}_p", figure.p
            yield f"{measure.name}_p_holm", np.nan
