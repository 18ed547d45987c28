"""Where results are shown: figures, end of a sweep, run loggers."""

from valueflow.reporting.evaluation_sweep import EvaluationSweepEnd
from valueflow.reporting.loggers import CsvLogger, WandbLogger
from valueflow.reporting.steering_sweep import SteeringSweepEnd
from valueflow.reporting.sweep import SweepEnd

__all__ = ["CsvLogger", "EvaluationSweepEnd", "SteeringSweepEnd", "SweepEnd", "WandbLogger"]
