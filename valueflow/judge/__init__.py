"""Judges: they rank a response among anchors."""

from valueflow.judge.answers import MAX_ITEMS_IN_GRAMMAR, MAX_ITEMS_IN_SCHEMA, permutation_constraint
from valueflow.judge.by_encoder import embedding_judge
from valueflow.judge.cost import Cost, cost_of, cost_of_conversations
from valueflow.judge.definitions import definition_text, stance_texts
from valueflow.judge.distilled import DistilledJudge
from valueflow.judge.embedding import EmbeddingJudge
from valueflow.judge.llm import LLMJudge
from valueflow.judge.logprob import LogprobJudge
from valueflow.judge.naming import judge_words
from valueflow.judge.panel import PanelJudge, distinct_names, judge_panel
from valueflow.judge.prompts import RankingExample, RankingPrompt
from valueflow.judge.protocol import Criterion, Judge, Progress, TextJudge
from valueflow.judge.reading import read_ranking
from valueflow.judge.reports import summed_report
from valueflow.judge.settings import ConfiguredJudge
from valueflow.judge.stances import StancePrompt
from valueflow.judge.streams import for_stream
from valueflow.judge.utilities import TextUtilities
from valueflow.judge.utility_head import UtilityHead, text_keys
from valueflow.judge.windows import LONGEST_REASON, RankedWindows, Windows, commonest_order, plain_lines

__all__ = [
    "LONGEST_REASON",
    "MAX_ITEMS_IN_GRAMMAR",
    "MAX_ITEMS_IN_SCHEMA",
    "ConfiguredJudge",
    "Cost",
    "Criterion",
    "DistilledJudge",
    "EmbeddingJudge",
    "Judge",
    "LLMJudge",
    "LogprobJudge",
    "PanelJudge",
    "Progress",
    "RankedWindows",
    "RankingExample",
    "RankingPrompt",
    "StancePrompt",
    "TextJudge",
    "TextUtilities",
    "UtilityHead",
    "Windows",
    "commonest_order",
    "cost_of",
    "cost_of_conversations",
    "definition_text",
    "distinct_names",
    "embedding_judge",
    "for_stream",
    "judge_panel",
    "judge_words",
    "permutation_constraint",
    "plain_lines",
    "read_ranking",
    "stance_texts",
    "summed_report",
    "text_keys",
]
