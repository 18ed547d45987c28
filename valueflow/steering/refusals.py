r"""Responses that decline to answer: a small rule, the same for all models.

A response is a refusal if it begins, perhaps after an apology ("I'm sorry, but") or a courtesy ("I appreciate the
question, but"), in one of three ways:

1. It declines the task: "I can't", "I won't", "I am unable to", "I must decline to" and the like, with the task as what
   is declined: assist with, help with that, answer this question, provide a response, adopt the perspective, generate
   content, role-play.
2. It steps out of the person it was asked to be: "As an AI", "I'm just a language model", where "I" do not, cannot,
   lack or have no follows in the same sentence.
3. It declines and says nothing else: "I can't.", "I'm sorry, but I can't do that."

Only the beginning counts, and the object of what is declined: "I won't help my neighbour", "I can't. My family comes
first" and "I refuse to comply with that law" are answers of somebody who refuses the neighbour, not the question. The
rule is for English and misses polite evasions; to count those is a judge's work.
"""

import re

_LONGEST_BEGINNING = 400
"""Characters that are looked at."""

_BEFORE = (
    r"(?:(?:(?:i'?m|i am|we'?re|we are)\s+(?:(?:really|very|so|truly|terribly)\s+)?(?:sorry|afraid)(?:\s+that)?"
    r"|(?:my\s+)?apolog(?:ies|y)|i\s+apologi[sz]e|sorry|unfortunately|regrettably)\b[^.!?\n]{0,60}?[\s,.;:!-]*"
    r"|(?:i\s+(?:appreciate|understand|see|know)|thank\s+you|thanks)\b[^.!?\n]{0,80}?[,;]?\s+)?"
    r"(?:(?:but|however),?\s+)?"
)
_DECLINE = (
    r"(?:i|we)\s*(?:can\s?not|can'?t|could\s?not|couldn'?t|won'?t|will\s+not"
    r"|(?:am|'m|are|'re)\s+(?:not\s+able|unable|not\s+comfortable|not\s+allowed|not\s+permitted|not\s+going)"
    r"(?:\s+(?:to|with))?"
    r"|(?:do\s+not|don'?t)\s+feel\s+comfortable(?:\s+with)?"
    r"|(?:(?:must|have\s+to|need\s+to)\s+)?(?:respectfully\s+|politely\s+)?(?:decline|refuse)(?:\s+to)?)"
    r"(?:\s+(?:ethically|really|just|in\s+good\s+conscience))?"
)
_OBJECT = (
    r"(?:(?:this|that|these|those|your|such|the|an?|any)\s+)?(?:\w+\s+)?(?:requests?|questions?|prompts?|tasks?|personas?"
    r"|roles?|role-?play|perspectives?|viewpoints?|attitudes?|topics?|content|answers?|responses?|instructions?"
    r"|conversations?|discussions?|scenarios?)\b"
)
_TASK = (
    r"(?:assist(?:\s+you)?\s+(?:with|in)\b|role-?play\w*"
    r"|help(?:\s+you)?\s+with\s+(?:(?:that|this)(?=\s*(?:[.,;!]|$))|(?:that|this|your|the|such|any)\s+(?:\w+\s+)?request)"
    r"|(?:answer(?:ing)?|respond(?:ing)?\s+to|fulfil+|generat(?:e|ing))\s+(?:this|that)(?=\s*(?:[.,;!]|$))"
    r"|(?:answer|respond|reply|address|discuss|engag|fulfil+|comply|continu|participat|adopt|assum|provid|offer|giv"
    r"|shar|writ|creat|generat|produc)(?:e|ing)?(?:\s+(?:to|in|with|from|you|you\s+with))?\s+"
    rf"{_OBJECT}|tak(?:e|ing)\s+(?:on|part\s+in)\s+{_OBJECT})"
)
_NOTHING_ELSE = (
    r"(?:\s+(?:assist|help|answer(?:ing)?|respond|comply|engage|do|say|write)(?:\s+(?:with|to|in))?)?"
    r"(?:\s+(?:this|that|it|you))?[\s.!\"'*]*$"
)
_DECLINED = re.compile(rf"{_BEFORE}{_DECLINE}(?:\s+{_TASK}|{_NOTHING_ELSE})", re.IGNORECASE)
_OUT_OF_ROLE = re.compile(
    r"(?:[^.!?\n]{0,60}[\s,;:-])?(?:as|being|i'?m|i\s+am)\s+(?:just\s+|only\s+|merely\s+)?an?\s+(?:ai\b|artificial\s+intelligence"
    r"|(?:ai\s+|large\s+)*language\s+model|(?:virtual\s+|ai\s+)?assistant|chatbot|computer\s+program)[^.!?\n]{0,80}?\bi\s*"
    r"(?:do\s+not|don'?t|can\s?not|can'?t|will\s+not|won'?t|'m\s+not|am\s+not|am\s+unable|'m\s+unable|have\s+no|lack"
    r"|must\s+decline)\b",
    re.IGNORECASE,
)


def is_refusal(response: str) -> bool:
    """Return whether a response declines to answer, by the rule of this module."""
    # One character more than is looked at: what is cut off must not pass for a response that ends.
    beginning = response.strip()[: _LONGEST_BEGINNING + 1].replace("\u2019", "'").lstrip("\"'*_>- ")
    return bool(_DECLINED.match(beginning) or _OUT_OF_ROLE.match(beginning))
