"""Having a whole batch answered, with a bar on the screen; what cannot be answered is counted, not fatal."""

from collections.abc import Sequence
from dataclasses import replace

from valueflow.llm import CacheMode, ChatModel, Completion, Conversation, PromptTooLong, Sampling, Usage, ask
from valueflow.run import InputError, progress_bar, shorten

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

    A conversation that is too long for the model gets a completion with an error, and those that have no answer yet are
    asked without it: one monstrous text of a data set does not cost a run the rest.

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
    answered: dict[int, Completion] = {}
    too_long = 0
    total = Usage()
    with progress_bar(title, len(conversations), unit, enabled=progress) as advance:

        def attempt(indices: Sequence[int]) -> None:
            nonlocal total
            before, told = total, len(answered)

            def used(usage: Usage) -> None:
                nonlocal total
                total = before + usage

            def arrived(arrivals: Sequence[tuple[int, Completion]]) -> None:
                news = {indices[place]: completion for place, completion in arrivals}
                answered.update(news)
                advance(len(news), sum(bool(completion.error) for completion in news.values()), total.note)

            try:
                _, usage = ask(
                    model,
                    [conversations[index] for index in indices],
                    [sampling[index] for index in indices],
                    cache=cache,
                    arrived=arrived,
                    used=used,
                )
                total = before + usage
            except PromptTooLong:
                # Of those equal to another one, only these have been answered.
                since = replace(total, repeated=0)
                repeated = len(answered) - told - (since.calls + since.cache_hits - before.calls - before.cache_hits)
                total = replace(since, repeated=before.repeated + repeated)
                raise

        while True:
            left = [index for index in range(len(conversations)) if index not in answered]
            try:
                attempt(left)
                break
            except PromptTooLong as error:
                index = left[error.index]
                too_long += 1
                if too_long > _MOST_TOO_LONG:
                    end = shorten(conversations[index][-1]["content"][-200:])
                    raise InputError(
                        f"more than {_MOST_TOO_LONG} prompts are too long for model '{model.identity()['model']}', "
                        f"such as the one that ends in '{end}': {error.detail}; use a model that takes longer prompts, "
                        "or a lower max_tokens"
                    ) from error
                answered[index] = Completion("", error=f"the prompt is too long: {error.detail}")
                advance(1, 1, total.note)
    return [answered[index] for index in range(len(conversations))], total
