from .distillation import DistilledEncoder as DistilledEncoder
from .distillation import DistillSettings as DistillSettings
from .outcome import ConvertedTable as ConvertedTable
from .outcome import MeasuredEncoder as MeasuredEncoder
from .outcome import TrainedEncoder as TrainedEncoder
from .pipeline import TASK as TASK
from .pipeline import train as train
from .settings import TrainSettings as TrainSettings
