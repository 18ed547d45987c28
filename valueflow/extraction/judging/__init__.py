"""Task `judge` of `extract.py`: utilities of the texts of a file of any length, by a judge that reads them singly."""

from valueflow.extraction.judging.columns import UTILITIES_FILE
from valueflow.extraction.judging.display import show_judgings
from valueflow.extraction.judging.outcome import Utilities
from valueflow.extraction.judging.run import judge_file
from valueflow.extraction.judging.settings import JudgingSettings

__all__ = ["UTILITIES_FILE", "JudgingSettings", "Utilities", "judge_file", "show_judgings"]
