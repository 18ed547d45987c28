"""Where runs are recorded besides their folder: the loggers, the config group `logger`."""

from valueflow.reporting.csv_rows import CsvLogger
from valueflow.reporting.tensorboard_runs import TensorBoardLogger
from valueflow.reporting.trackio_runs import TrackioLogger
from valueflow.reporting.wandb_runs import WandbLogger

__all__ = ["CsvLogger", "TensorBoardLogger", "TrackioLogger", "WandbLogger"]
