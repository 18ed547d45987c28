"""VIDB, the value intensity database: anchors, where they come from, how windows draw them."""

from valueflow.vidb.anchors import HIGHEST_INTENSITY, LOWEST_INTENSITY, Anchors
from valueflow.vidb.loading import DEMO, HUGGING_FACE, Vidb, load_vidb
from valueflow.vidb.sampling import BucketSampling, FixedSampling, RandomSampling, Sampling, check_count
from valueflow.vidb.settings import ConfiguredSampling

__all__ = [
    "DEMO",
    "HIGHEST_INTENSITY",
    "HUGGING_FACE",
    "LOWEST_INTENSITY",
    "Anchors",
    "BucketSampling",
    "ConfiguredSampling",
    "FixedSampling",
    "RandomSampling",
    "Sampling",
    "Vidb",
    "check_count",
    "load_vidb",
]
