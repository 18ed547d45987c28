"""Which texts meet in a batch: a pure function of seed, epoch and number."""

from valueflow.hives.sampling.batch import CONCEPT, HIERARCHICAL, INDIVIDUAL, OF_IDS, Batch
from valueflow.hives.sampling.inter import InterTheoryBatches
from valueflow.hives.sampling.intra import IntraTheoryBatches

__all__ = ["CONCEPT", "HIERARCHICAL", "INDIVIDUAL", "OF_IDS", "Batch", "InterTheoryBatches", "IntraTheoryBatches"]
