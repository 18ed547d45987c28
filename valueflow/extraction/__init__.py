"""Texts to NPZ files of vectors, one per theory: `extract.py task=embed`."""

from valueflow.extraction.outcome import Embeddings
from valueflow.extraction.pipeline import TASK, extract
from valueflow.extraction.settings import ExtractionSettings

__all__ = ["TASK", "Embeddings", "ExtractionSettings", "extract"]
