"""How a survey's questions are put, with a group's profile or without."""

from collections.abc import Sequence

from valueflow.llm import Conversation, Message, escape_special_tokens, fill
from valueflow.opinionqa.profiles import ProfileLine
from valueflow.opinionqa.questions import LETTERS, SurveyQuestion
from valueflow.opinionqa.settings import OpinionQASettings


def default_conversation(settings: OpinionQASettings, item: SurveyQuestion) -> Conversation:
    """Put a question to a member of a group of whom nothing else is said."""
    return _conversation(settings.system, settings.default_prompt, item, {})


def profile_conversation(
    settings: OpinionQASettings, item: SurveyQuestion, lines: Sequence[ProfileLine]
) -> Conversation:
    """Put a question to a member of a group whose values the lines describe."""
    profile = "\n".join(f"- {_one_line(line.definition_prompt)}" for line in lines)
    return _conversation(settings.system, settings.profile_prompt, item, {"profile": profile})


def _conversation(system: str, user: str, item: SurveyQuestion, more: dict[str, str]) -> Conversation:
    options = "\n".join(f"{letter}. {_one_line(option)}" for letter, option in zip(LETTERS, item.options, strict=False))
    words = {
        "attribute": _one_line(item.group),
        "member": _one_line(item.member),
        "question": _one_line(item.question),
        "options": options,
        **more,
    }
    before: tuple[Message, ...] = ({"role": "system", "content": fill(system, words)},) if system.strip() else ()
    return (*before, {"role": "user", "content": fill(user, words)})


def _one_line(text: str) -> str:
    """Keep a text of a data set in its line, where it can begin no other one, and no token of a chat template in it."""
    return escape_special_tokens(" ".join(text.split()))
