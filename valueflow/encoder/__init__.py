"""Sentence encoders: texts to vectors."""

from valueflow.encoder.sentence import MEMORY, PROBE, SentenceEncoder, load_encoder, load_model, model_source
from valueflow.encoder.vector_cache import VectorCache

__all__ = ["MEMORY", "PROBE", "SentenceEncoder", "VectorCache", "load_encoder", "load_model", "model_source"]
