"""Texts to NPZ files of vectors, one a theory: `extract.py task=embed`."""

from valueflow.encoder.extraction.pipeline import Embeddings, extract
from valueflow.encoder.extraction.settings import ExtractionSettings

__all__ = ["Embeddings", "ExtractionSettings", "extract"]
