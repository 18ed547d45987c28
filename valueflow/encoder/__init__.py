"""Sentence encoders: texts to vectors."""

from valueflow.encoder.sentence import PROBE, SentenceEncoder, load_encoder, load_model, model_source
from valueflow.encoder.vector_cache import VectorCache

__all__ = ["PROBE", "SentenceEncoder", "VectorCache", "load_encoder", "load_model", "model_source"]
