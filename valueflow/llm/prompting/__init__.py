"""Prompts in and choices out: templates, texts quoted in them, answers that name one of several options."""

from valueflow.llm.prompting.options import folded, name_constraint, named_option, read_name, readings
from valueflow.llm.prompting.quoting import TRUNCATION_MARK, escape_special_tokens, quote_text
from valueflow.llm.prompting.templates import check_places, fill

__all__ = [
    "TRUNCATION_MARK",
    "check_places",
    "escape_special_tokens",
    "fill",
    "folded",
    "name_constraint",
    "named_option",
    "quote_text",
    "read_name",
    "readings",
]
