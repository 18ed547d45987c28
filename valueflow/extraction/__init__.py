"""`extract.py`: texts to vectors (`task=embed`), to utilities (`task=judge`) or to value profiles (`task=profile`).

And vectors of values to how they lie to one another (`task=geometry`).
"""

from valueflow.extraction.engines import LocalEngine, RayEngine
from valueflow.extraction.judging import JudgingSettings, Utilities
from valueflow.extraction.outcome import Embeddings
from valueflow.extraction.pipeline import TASK, extract, judge_texts, profile, value_geometry
from valueflow.extraction.settings import ExtractionSettings

__all__ = [
    "TASK",
    "Embeddings",
    "ExtractionSettings",
    "JudgingSettings",
    "LocalEngine",
    "RayEngine",
    "Utilities",
    "extract",
    "judge_texts",
    "profile",
    "value_geometry",
]
