"""Where results are shown: figures, end of a sweep, run loggers."""

from valueflow.reporting.categorization_sweep import CategorizationSweepEnd
from valueflow.reporting.construction_sweep import ConstructionSweepEnd
from valueflow.reporting.evaluation_sweep import EvaluationSweepEnd
from valueflow.reporting.extraction_sweep import ExtractionSweepEnd
from valueflow.reporting.loggers import CsvLogger, WandbLogger
from valueflow.reporting.steering_sweep import SteeringSweepEnd
from valueflow.reporting.sweep import SweepEnd
from valueflow.reporting.training_sweep import TrainingSweepEnd

__all__ = [
    "CategorizationSweepEnd",
    "ConstructionSweepEnd",
    "CsvLogger",
    "EvaluationSweepEnd",
    "ExtractionSweepEnd",
    "SteeringSweepEnd",
    "SweepEnd",
    "TrainingSweepEnd",
    "WandbLogger",
]
