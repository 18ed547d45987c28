"""Queries that a run does not ask, to choose a layer and strengths by."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from valueflow.evaluation import evaluate_responses
from valueflow.llm import Client, Sampling
from valueflow.run import InputError
from valueflow.steering.methods import Request, Steered
from valueflow.steering.price import price
from valueflow.steering.queries import load_queries
from valueflow.steering.search import SearchSettings, Trial
from valueflow.steering.settings import SteeringSettings

_ASKS_A_MODEL = ("llm", "logprob")
"""Judges that the steered model itself may be."""


def held_out(
    settings: SteeringSettings, request: Request, client: Client, sampling: Sampling, search: SearchSettings, what: str
) -> Callable[[Callable[[Request], Steered], str], Trial]:
    """Return what tries a way to steer on held-out queries and scores the responses on a value.

    They are the first packaged queries that the run does not ask.

    Raises
    ------
    InputError
        Too few are left.
    """
    packaged = load_queries(None, None)
    left = packaged[~packaged["query"].isin(request.queries["query"])].head(search.queries).reset_index(drop=True)
    if len(left) < search.queries:
        raise InputError(
            f"{what}: search needs {search.queries} queries that the run does not ask, and of the packaged ones "
            f"{len(left)} are left; give limit=... or queries=FILE, or lower steering.search.queries"
        )
    asked = replace(request, queries=left)
    judging: dict[str, Any] = {"judge": search.judge} | ({"llm": settings.llm} if search.judge in _ASKS_A_MODEL else {})

    def trial(steer: Callable[[Request], Steered], value: str) -> Trial:
        steered = steer(asked)
        completions = client.ask(
            steered.conversations,
            replace(sampling, additions=steered.additions),
            title="search",
            unit="responses",
            progress=settings.progress,
        )
        said = left.assign(response=[completion.text.strip() for completion in completions])
        said = said[said["response"] != ""].reset_index(drop=True)
        if said.empty:
            return Trial(np.nan, np.inf)
        figures = price(asked, settings.llm, said, what=what, progress=False)
        scored = evaluate_responses(
            said,
            theory=settings.theory,
            value=value,
            vidb=settings.vidb,
            seed=settings.seed,
            cache=settings.cache,
            judge_check=False,
            progress=False,
            **judging,
        )
        mean = scored.summary["mean"]
        return Trial(np.nan if mean is None else float(mean), float(np.exp(np.log(figures["perplexity"]).mean())))

    return trial
