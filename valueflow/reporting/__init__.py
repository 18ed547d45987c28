"""Where finished runs are recorded besides their folder: the loggers."""

from valueflow.reporting.loggers import CsvLogger, WandbLogger

__all__ = ["CsvLogger", "WandbLogger"]
