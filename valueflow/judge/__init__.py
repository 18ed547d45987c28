"""Judges: they rank a response among anchors."""

from valueflow.judge.embedding import EmbeddingJudge
from valueflow.judge.protocol import Judge, Progress, Question, Rankings, Windows, checked_rankings

__all__ = ["EmbeddingJudge", "Judge", "Progress", "Question", "Rankings", "Windows", "checked_rankings"]
