"""`extract.py`: texts to NPZ files of vectors, one per theory (`task=embed`), or to value profiles (`task=profile`).

And vectors of values to how they lie to one another (`task=geometry`).
"""

from valueflow.extraction.engines import LocalEngine, RayEngine
from valueflow.extraction.outcome import Embeddings
from valueflow.extraction.pipeline import TASK, extract, profile, value_geometry
from valueflow.extraction.settings import ExtractionSettings

__all__ = [
    "TASK",
    "Embeddings",
    "ExtractionSettings",
    "LocalEngine",
    "RayEngine",
    "extract",
    "profile",
    "value_geometry",
]
