"""VIDB, the value intensity database: anchors, where they come from, how windows draw them."""

from valueflow.run import HUGGING_FACE
from valueflow.vidb.adaptive import AdaptiveSampling
from valueflow.vidb.anchors import HIGHEST_INTENSITY, LOWEST_INTENSITY, Anchors
from valueflow.vidb.loading import DEMO, Vidb, load_vidb
from valueflow.vidb.sampling import AnchorSampling, BucketSampling, FixedSampling, RandomSampling, check_count
from valueflow.vidb.settings import ConfiguredSampling

__all__ = [
    "DEMO",
    "HIGHEST_INTENSITY",
    "HUGGING_FACE",
    "LOWEST_INTENSITY",
    "AdaptiveSampling",
    "AnchorSampling",
    "Anchors",
    "BucketSampling",
    "ConfiguredSampling",
    "FixedSampling",
    "RandomSampling",
    "Vidb",
    "check_count",
    "load_vidb",
]
