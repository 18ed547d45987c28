"""Answers to survey questions as statements in the first person: by a template, or worded by a chat model."""

from collections.abc import Sequence
from dataclasses import dataclass

from valueflow.llm import CacheMode, ChatModel, Client, Conversation, Sampling, Usage, fill, quote_text
from valueflow.run import shorten

MAX_TOKENS = 120
_LONGEST = 600
"""Characters of a worded statement at most."""

_MOST_BYTES = 4_000


@dataclass(frozen=True)
class Worded:
    """Statements of a chat model.

    Attributes
    ----------
    statements
        One for each answer; that of the template where the model gave none.
    failures
        Why, one for each of these.
    usage
        What asking took.
    """

    statements: list[str]
    failures: list[str]
    usage: Usage


def by_template(template: str, question: str, option: str) -> str:
    """Return an answer as a statement."""
    return fill(template, {"question": question, "option": option})


def conversations(prompt: str, answers: Sequence[tuple[str, str]]) -> list[Conversation]:
    """Return what a chat model is asked to word each answer (question, option)."""
    return [
        (
            {
                "role": "user",
                "content": fill(
                    prompt,
                    {"question": quote_text(question, _MOST_BYTES)[0], "option": quote_text(option, _MOST_BYTES)[0]},
                ),
            },
        )
        for question, option in answers
    ]


def by_model(
    llm: ChatModel, cache: CacheMode, prompt: str, template: str, answers: Sequence[tuple[str, str]], *, progress: bool
) -> Worded:
    """Have a chat model word each answer (question, option) in one batch.

    A completion with an error, an empty one, and one that is longer than a statement give way to the template's.
    """
    client = Client(llm, cache)
    sampling = Sampling(temperature=0.0, max_tokens=MAX_TOKENS, seed=0)
    completions = client.ask(
        conversations(prompt, answers), sampling, title="statements", unit="statements", progress=progress
    )
    statements, failures = [], []
    for (question, option), completion in zip(answers, completions, strict=True):
        text = " ".join(completion.text.split()).strip('"')
        failure = completion.error or ("" if text else "the answer is empty")
        if not failure and (completion.truncated or len(text) > _LONGEST):
            failure = "the answer is longer than a statement"
        if failure:
            failures.append(shorten(failure, 300))
        statements.append(by_template(template, question, option) if failure else text)
    return Worded(statements, failures, client.usage)
