from .app import train as train
from .display import show_metrics as show_metrics
from .display import show_trainings as show_trainings
from .outcome import ConvertedTable as ConvertedTable
from .outcome import MeasuredEncoder as MeasuredEncoder
from .outcome import TrainedEncoder as TrainedEncoder
from .settings import TrainSettings as TrainSettings
