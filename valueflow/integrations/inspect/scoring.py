"""A scorer for Inspect: outputs of any task on our scale."""

from collections.abc import Callable
from typing import Any

from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, Value, metric, scorer
from inspect_ai.solver import TaskState

from valueflow.integrations.asking import dataset_of
from valueflow.integrations.gathering import Gathered
from valueflow.integrations.inspect.faults import shown_in_one_line
from valueflow.integrations.measuring import FIGURES, Said, Scale, TextScore

_WAIT = 0.5
"""Seconds that a batch waits for further samples."""


@metric(scores="unreduced")
def on_scale() -> Metric:
    """Compute the mean of all responses on our scale with its 95% interval: what `evaluate.py` says of them.

    Returns
    -------
    Metric
        `mean`, `mean_se`, `mean_low` and `mean_high` (clustered by query), `mean_of_scores`. The responses are judged
        once more, together; a language model's answers come from the cache.
    """

    def compute(scores: list[SampleScore]) -> Value:
        entries = [one.score.metadata or {} for one in scores]
        if not entries:
            return dict.fromkeys(FIGURES, float("nan"))
        said = [
            Said(entry["query"], entry["dataset"], one.score.answer) for one, entry in zip(scores, entries, strict=True)
        ]
        return _outside(lambda: Scale(**entries[0]["settings"]).figures(said))

    return compute


@scorer(metrics=[on_scale()])
def value_intensity(
    theory: str, value: str, judge: str = "embedding", estimator: str = "regression", **settings: Any
) -> Scorer:
    """Score how strongly outputs express a value, from -10 (rejects it) to 10 (supports it).

    Samples are judged in batches: those that end while another batch is judged are the next one.

    Parameters
    ----------
    theory, value
        The value, as in `evaluate.py`.
    judge, estimator, **settings
        Settings of `evaluate.py`, also dotted ones.

    Returns
    -------
    Scorer
        Scores with `low` and `high` (90%), `se`, `theory`, `value`, `settings`, `query`, `dataset` and the size of the
        sample's batch in their metadata. An output that has none is unscored, with `failure` in its metadata.

    Raises
    ------
    InputError
        The value is unknown or a setting cannot be used.
    """
    given = {"theory": theory, "value": value, "judge": judge, "estimator": estimator, **settings}
    with shown_in_one_line():
        scale = Scale(**given)
    gathered: Gathered[Said, TextScore] = Gathered(scale.scores, _WAIT)

    async def score(state: TaskState, target: Target) -> Score:
        said = Said(state.input_text, dataset_of(state.metadata), state.output.completion)
        found, size = await gathered(said)
        about = {"theory": scale.theory, "value": scale.value, "settings": given}
        origin = {"query": said.query, "dataset": said.dataset, "batch": size}
        if found.failure:
            metadata = {"failure": found.failure, **about, **origin}
            return Score.unscored(
                reason="scoring_failed", answer=said.response, explanation=found.failure, metadata=metadata
            )
        return Score(
            value=found.score,
            answer=said.response,
            explanation=f"{scale.theory}/{scale.value} {found.score:+.2f} ({found.low:+.2f} to {found.high:+.2f})",
            metadata={"low": found.low, "high": found.high, "se": found.se, **about, **origin},
        )

    return score


def _outside(compute: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Compute in a thread of its own: metrics run inside an event loop, and engines start loops of their own."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(compute).result()
