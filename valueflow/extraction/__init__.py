"""`extract.py`: texts to NPZ files of vectors, one per theory (`task=embed`), or to value profiles (`task=profile`)."""

from valueflow.extraction.outcome import Embeddings
from valueflow.extraction.pipeline import TASK, extract, profile
from valueflow.extraction.settings import ExtractionSettings

__all__ = ["TASK", "Embeddings", "ExtractionSettings", "extract", "profile"]
