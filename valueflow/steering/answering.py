"""Having a whole batch answered, with a bar on the screen; what cannot be answered is counted, not fatal."""

from collections.abc import Sequence

from valueflow.llm import CacheMode, ChatModel, Completion, Conversation, PromptTooLong, Sampling, Usage, ask
from valueflow.run.errors import InputError, shorten
from valueflow.run.progress import progress_bar

_MOST_TOO_LONG = 20
"""Prompts that may be too long for the model before it is the model that does not fit."""


def answer_all(
    model: ChatModel,
    conversations: Sequence[Conversation],
    sampling: Sequence[Sampling],
    *,
    cache: CacheMode,
    title: str,
    unit: str,
    progress: bool,
) -> tuple[list[Completion], Usage]:
    """Ask a model N conversations in one batch.

    A conversation that is too long for the model gets a completion with an error, and the others are asked without it:
    one monstrous text of a data set does not cost a run the rest.

    Parameters
    ----------
    model, conversations, sampling
        N conversations, each with its own sampling.
    cache
        See `valueflow.llm.ask`.
    title, unit
        Of the bar: what is done, and what a step is, in the plural.
    progress
        Whether to show it.

    Returns
    -------
    completions : list of Completion
        N, in order.
    usage : Usage
        What asking took.

    Raises
    ------
    InputError
        The model cannot be used, or more than a few conversations do not fit into it.
    """
    too_long: dict[int, Completion] = {}
    told: set[int] = set()
    note = ""
    with progress_bar(title, len(conversations), unit, enabled=progress) as advance:

        def used(usage: Usage) -> None:
            nonlocal note
            note = usage.note

        def attempt(indices: Sequence[int]) -> tuple[list[Completion], Usage]:
            def arrived(arrivals: Sequence[tuple[int, Completion]]) -> None:
                # What is kept arrives once more where one that was too long has made it ask again.
                news = {indices[place]: completion for place, completion in arrivals if indices[place] not in told}
                told.update(news)
                advance(len(news), sum(bool(completion.error) for completion in news.values()), note)

            return ask(
                model,
                [conversations[index] for index in indices],
                [sampling[index] for index in indices],
                cache=cache,
                arrived=arrived,
                used=used,
            )

        while True:
            left = [index for index in range(len(conversations)) if index not in too_long]
            try:
                completions, usage = attempt(left)
                break
            except PromptTooLong as error:
                index = left[error.index]
                if len(too_long) == _MOST_TOO_LONG:
                    end = shorten(conversations[index][-1]["content"][-200:])
                    raise InputError(
                        f"more than {_MOST_TOO_LONG} prompts are too long for model '{model.identity()['model']}', "
                        f"such as the one that ends in '{end}': {error.detail}; use a model that takes longer prompts, "
                        "or a lower max_tokens"
                    ) from error
                too_long[index] = Completion("", error=f"the prompt is too long: {error.detail}")
                advance(1, 1, note)
    answered = dict(zip(left, completions, strict=True)) | too_long
    return [answered[index] for index in range(len(conversations))], usage
