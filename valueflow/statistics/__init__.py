"""Statistics that no library at hand has: clustered means and shares, Holm's correction, lines by group, jackknife+."""

from .clustered import (
    ClusteredMean,
    Codes,
    Values,
    cluster_codes,
    clustered_mean,
    clustered_share,
    sign_flip_p,
)
from .conformal import Scales, jackknife_plus, shrunk_scales
from .lines import FEWEST as FEWEST_FOR_LINE
from .lines import Line, Lines, fit_lines
from .multiplicity import holm
from .order import OrderAgreement, order_agreement
from .shares import wilson_interval

__all__ = [
    "FEWEST_FOR_LINE",
    "ClusteredMean",
    "Codes",
    "Line",
    "Lines",
    "OrderAgreement",
    "Scales",
    "Values",
    "cluster_codes",
    "clustered_mean",
    "clustered_share",
    "fit_lines",
    "holm",
    "jackknife_plus",
    "order_agreement",
    "shrunk_scales",
    "sign_flip_p",
    "wilson_interval",
]
