"""Sentence encoders: texts to vectors."""

from valueflow.encoder.sentence import SentenceEncoder, load_encoder

__all__ = ["SentenceEncoder", "load_encoder"]
