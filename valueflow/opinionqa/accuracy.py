"""How often two passes over the same questions are right, and whether one is right more often than the other."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

CONFIDENCE = 0.95

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Comparison:
    """Two passes over the same n questions.

    Attributes
    ----------
    n
        Questions.
    default_accuracy, profile_accuracy
        Share of right answers of each pass, with a 95% interval (Wilson 1927, Probable inference, the law of
        succession, and statistical inference) from `_low` to `_high`.
    difference
        Accuracy of the profile pass less that of the default pass, with a paired 95% interval: Student's t on the n
        differences of right (1) and wrong (0), within [-1, 1]. NaN where these are all equal, as for a single question:
        they do not tell how far they vary.
    only_default, only_profile
        Questions that one pass alone got right.
    mcnemar_p
        Two-sided p of the exact test that both passes are right equally often (McNemar 1947, Note on the sampling error
        of the difference between correlated proportions or percentages); 1 where they never differ.
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


def compare(default: Flags, profile: Flags) -> Comparison:
    """Compare two passes.

    Parameters
    ----------
    default, profile
        (n,) whether each pass answered each question rightly; n at least 1.
    """
    # Imported here: it takes a second, and only a survey's end needs it.
    from scipy import stats

    n = len(default)
    only_default, only_profile = int((default & ~profile).sum()), int((profile & ~default).sum())
    differences = profile.astype(float) - default.astype(float)
    if np.ptp(differences) == 0:
        low = high = np.nan
    else:
        interval = stats.ttest_rel(profile.astype(float), default.astype(float)).confidence_interval(CONFIDENCE)
        low, high = max(float(interval.low), -1.0), min(float(interval.high), 1.0)
    apart = only_default + only_profile
    bounds = [
        stats.binomtest(int(right.sum()), n).proportion_ci(CONFIDENCE, method="wilson") for right in (default, profile)
    ]
    return Comparison(
        n=n,
        default_accuracy=float(default.mean()),
        default_low=float(bounds[0].low),
        default_high=float(bounds[0].high),
        profile_accuracy=float(profile.mean()),
        profile_low=float(bounds[1].low),
        profile_high=float(bounds[1].high),
        difference=float(differences.mean()),
        difference_low=low,
        difference_high=high,
        only_default=only_default,
        only_profile=only_profile,
        mcnemar_p=float(stats.binomtest(only_profile, apart).pvalue) if apart else 1.0,
    )


def accuracy_table(attributes: Sequence[str], groups: Sequence[str], default: Flags, profile: Flags) -> pd.DataFrame:
    """Compare two passes by attribute, by attribute group, and over all questions.

    Parameters
    ----------
    attributes, groups
        (n,) attribute of each question's group, and what kind of group that is.
    default, profile
        (n,) as `compare` takes them.

    Returns
    -------
    pandas.DataFrame
        `level` (attribute, group or overall), `name`, and the fields of `Comparison`; names in alphabetical order.
    """

    def rows() -> Iterator[dict[str, object]]:
        for level, labels in (("attribute", attributes), ("group", groups)):
            names = np.array(labels, dtype=object)
            for name in sorted(set(labels)):
                chosen = names == name
                yield {"level": level, "name": name, **asdict(compare(default[chosen], profile[chosen]))}
        yield {"level": "overall", "name": "overall", **asdict(compare(default, profile))}

    return pd.DataFrame(rows())
