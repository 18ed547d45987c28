"""Prompts in and choices out: templates, texts quoted in them, answers without thoughts, options that they name."""

from valueflow.llm.prompting.objects import entries_of, without_objects
from valueflow.llm.prompting.options import folded, name_constraint, named_option, read_name, readings
from valueflow.llm.prompting.quoting import TRUNCATION_MARK, escape_special_tokens, quote_text
from valueflow.llm.prompting.templates import check_places, fill
from valueflow.llm.prompting.thoughts import CUT_IN_THOUGHTS, Said, is_mark, leaving_empty, opened_by, without_thoughts

__all__ = [
    "CUT_IN_THOUGHTS",
    "TRUNCATION_MARK",
    "Said",
    "check_places",
    "entries_of",
    "escape_special_tokens",
    "fill",
    "folded",
    "is_mark",
    "leaving_empty",
    "name_constraint",
    "named_option",
    "opened_by",
    "quote_text",
    "read_name",
    "readings",
    "without_objects",
    "without_thoughts",
]
