"""VIDB, the value intensity database: anchors, where they come from, how windows draw them."""

from valueflow.vidb.anchors import HIGHEST_INTENSITY, LOWEST_INTENSITY, Anchors
from valueflow.vidb.loading import Vidb, load_vidb
from valueflow.vidb.sampling import BucketSampling, FixedSampling, RandomSampling, Sampling

__all__ = [
    "HIGHEST_INTENSITY",
    "LOWEST_INTENSITY",
    "Anchors",
    "BucketSampling",
    "FixedSampling",
    "RandomSampling",
    "Sampling",
    "Vidb",
    "load_vidb",
]
