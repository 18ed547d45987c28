"""How far one order agrees with another one."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OrderAgreement:
    """How far figures are in the order of known ones; all NaN where the known, or the figures, are all equal.

    Attributes
    ----------
    tau
        Kendall's tau-b.
    z
        Of the test that the order is a random one: about standard normal where it is.
    spearman
        Rank correlation.
    pairwise
        Share of the pairs of different known figures that are in their order, ties counted half.
    """

    tau: float
    z: float
    spearman: float
    pairwise: float


def order_agreement(figures: Floats, known: Floats) -> OrderAgreement:
    """Compare the order of figures (N,) with that of known ones (N,).

    Notes
    -----
    The variance of Kendall's S with ties on both sides is that of Kendall (1970), Rank correlation methods, chapter 4.
    """
    from scipy.stats import kendalltau, spearmanr  # here: half a second to import

    nan = float("nan")
    if len(known) < 2 or np.ptp(known) == 0 or np.ptp(figures) == 0:
        return OrderAgreement(nan, nan, nan, nan)
    n = len(known)
    pairs = n * (n - 1) / 2
    own, other = (_Ties.of(order) for order in (figures, known))
    tau = float(kendalltau(figures, known).statistic)
    in_order = tau * np.sqrt((pairs - own.pairs) * (pairs - other.pairs))
    variance = (n * (n - 1) * (2 * n + 5) - own.fifths - other.fifths) / 18
    variance += 2 * own.pairs * other.pairs / (n * (n - 1))
    if n > 2:
        variance += own.triples * other.triples / (9 * n * (n - 1) * (n - 2))
    return OrderAgreement(
        tau=tau,
        z=float(in_order / np.sqrt(variance)),
        spearman=float(spearmanr(figures, known).statistic),
        pairwise=float((1 + in_order / (pairs - other.pairs)) / 2),
    )


@dataclass(frozen=True)
class _Ties:
    """Sums over sets of t equal figures."""

    pairs: float  # of t (t - 1) / 2
    triples: float  # of t (t - 1) (t - 2)
    fifths: float  # of t (t - 1) (2 t + 5)

    @classmethod
    def of(cls, figures: Floats) -> "_Ties":
        t = np.unique(figures, return_counts=True)[1].astype(np.float64)
        return cls(
            float((t * (t - 1)).sum() / 2),
            float((t * (t - 1) * (t - 2)).sum()),
            float((t * (t - 1) * (2 * t + 5)).sum()),
        )
