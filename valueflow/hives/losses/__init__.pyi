from .batch_labels import BatchLabels as BatchLabels
from .batch_labels import agreement as agreement
from .contrastive import IdContrastiveLoss as IdContrastiveLoss
from .hierarchical import HierarchicalLoss as HierarchicalLoss
from .objectives import InterTheoryObjective as InterTheoryObjective
from .objectives import IntraTheoryObjective as IntraTheoryObjective
