"""Where results are shown: figures, end of a sweep, run loggers."""

from valueflow.reporting.loggers import CsvLogger, WandbLogger
from valueflow.reporting.sweep import EvaluationSweepEnd

__all__ = ["CsvLogger", "EvaluationSweepEnd", "WandbLogger"]
