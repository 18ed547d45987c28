"""What several rooms need of statistics and no library at hand has: clustered means and shares, Holm's correction."""

from .clustered import (
    ClusteredMean,
    Codes,
    Values,
    cluster_codes,
    clustered_mean,
    clustered_share,
    sign_flip_p,
)
from .multiplicity import holm
from .shares import wilson_interval

__all__ = [
    "ClusteredMean",
    "Codes",
    "Values",
    "cluster_codes",
    "clustered_mean",
    "clustered_share",
    "holm",
    "sign_flip_p",
    "wilson_interval",
]
