"""Sentence encoders: texts to vectors."""

from valueflow.encoder.sentence import PACKAGED, SentenceEncoder, load_encoder

__all__ = ["PACKAGED", "SentenceEncoder", "load_encoder"]
