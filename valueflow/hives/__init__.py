"""HIVES: the hierarchical value embedding, trained in two stages."""

from valueflow.hives.app import train
from valueflow.hives.conversion import ConvertedTable
from valueflow.hives.settings import TrainSettings
from valueflow.hives.testing import MeasuredEncoder
from valueflow.hives.training import TrainedEncoder

__all__ = ["ConvertedTable", "MeasuredEncoder", "TrainSettings", "TrainedEncoder", "train"]
