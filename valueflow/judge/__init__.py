"""Judges: they rank a response among anchors."""

from valueflow.judge.embedding import EmbeddingJudge
from valueflow.judge.llm import LLMJudge
from valueflow.judge.panel import PanelJudge, distinct_names
from valueflow.judge.prompts import RankingExample, RankingPrompt
from valueflow.judge.protocol import Judge, Progress, Question, Rankings, Windows, checked_rankings
from valueflow.judge.settings import ConfiguredJudge

__all__ = [
    "ConfiguredJudge",
    "EmbeddingJudge",
    "Judge",
    "LLMJudge",
    "PanelJudge",
    "Progress",
    "Question",
    "RankingExample",
    "RankingPrompt",
    "Rankings",
    "Windows",
    "checked_rankings",
    "distinct_names",
]
