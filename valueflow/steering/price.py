"""What steering costs besides what it moves: how unlikely, how repetitive responses become, how often it is refused."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.llm import ChatModel, residual_stream
from valueflow.responses import PRICE
from valueflow.run import built, compose_group
from valueflow.steering.methods import Request, SteeringMethod
from valueflow.steering.refusals import is_refusal

N_GRAM = 4
"""Words in a row that count as a repetition when they come again."""


def price(request: Request, model: ChatModel, responses: pd.DataFrame, *, what: str, progress: bool) -> pd.DataFrame:
    """Return `perplexity`, `repetition` and `refused` of each response.

    Parameters
    ----------
    request
        For the plain prompt, whatever the responses were steered by.
    model
        Which gave the responses; its residual stream must be open.
    responses
        N rows with `query`, `dataset` and `response`.
    what
        How messages name what needs the model.
    progress
        Whether to show a bar.

    Returns
    -------
    pandas.DataFrame
        (N, 3). `perplexity` is exp(- mean log-probability of the tokens of a response) under the model with nothing
        added, asked the query plainly (`steering=none`): that of an unsteered response is what the others compare
        with. `repetition` is the share of runs of 4 words that stood in the response before (Welleck et al. 2020,
        "Neural text generation with unlikelihood training"). `refused` is 1 or 0.
    """
    plain: SteeringMethod = built(compose_group("steering", "none"))
    asked = Request(request.theory, (), responses[["query", "dataset"]], request.anchors, request.seed)
    texts = responses["response"].tolist()
    stream = residual_stream(model, what)
    likelihoods = stream.likelihoods(plain.steer(asked).conversations, texts, progress=progress)
    figures = (likelihoods.perplexity(), repetitions(texts), responses["response"].map(is_refusal).to_numpy(dtype=int))
    return pd.DataFrame(dict(zip(PRICE, figures, strict=True)), index=responses.index)


def repetitions(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return the share of each text's runs of `N_GRAM` words that stood in it before, (N,); NaN of shorter texts."""
    return np.array([_repetition(text.casefold().split()) for text in texts], dtype=np.float64)


def _repetition(words: list[str]) -> float:
    runs = len(words) - N_GRAM + 1
    if runs < 1:
        return np.nan
    return 1 - len(set(zip(*(words[start:] for start in range(N_GRAM)), strict=False))) / runs
