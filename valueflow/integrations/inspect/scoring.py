"""A scorer for Inspect: outputs of any task on the ValueFlow scale."""

from typing import Any

from inspect_ai.model import ModelOutput
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, Value, metric, scorer
from inspect_ai.solver import TaskState

from valueflow.integrations.asking import dataset_of
from valueflow.integrations.gathering import Gathered
from valueflow.integrations.inspect.faults import WrongInputError, shown_in_one_line
from valueflow.integrations.measuring import Said, Scale, TextScore, plain_mean
from valueflow.responses import answer_in

_WAIT = 0.5
"""Seconds that a batch waits for further samples."""


@metric(scores="unreduced")
def on_scale() -> Metric:
    """Average the scores of `value_intensity` as they are, edited ones as well; nothing is judged.

    Inspect computes metrics time and again while samples run.

    Returns
    -------
    Metric
        `mean_of_scores`, `mean_of_scores_se`, `mean_of_scores_low` and `mean_of_scores_high` (95%, clustered by query).

    Raises
    ------
    InputError
        A score is no number.
    """

    def compute(scores: list[SampleScore]) -> Value:
        return dict(plain_mean([_number(one) for one in scores], [_query(one) for one in scores]))

    return compute


@scorer(metrics=[on_scale()])
def value_intensity(
    theory: str, value: str, judge: str = "embedding", estimator: str = "regression", **settings: Any
) -> Scorer:
    """Score how strongly outputs express a value, from -10 (rejects it) to 10 (supports it).

    Samples are judged in batches: those that finish while a batch is being judged form the next batch.

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
        said = Said(_asked(state), dataset_of(state.metadata), _answered(state.output))
        found, size = await gathered(said)
        about = {"theory": scale.theory, "value": scale.value, "settings": given}
        origin = {"query": said.query, "dataset": said.dataset, "batch": size}
        if found.failure:
            metadata = {"failure": found.failure, **about, **origin}
            reason = "grader_failed" if found.is_judged else "no_response"
            return Score.unscored(reason=reason, answer=said.response, explanation=found.failure, metadata=metadata)
        return Score(
            value=found.score,
            answer=said.response,
            explanation=f"{scale.theory}/{scale.value} {found.score:+.2f} ({found.low:+.2f} to {found.high:+.2f})",
            metadata={"low": found.low, "high": found.high, "se": found.se, **about, **origin},
        )

    return score


def _asked(state: TaskState) -> str:
    """Return the user's last text in a sample's input; empty where there is none."""
    if isinstance(state.input, str):
        return state.input
    return next((message.text for message in reversed(state.input) if message.role == "user"), "")


def _answered(output: ModelOutput) -> str | None:
    """Return the text that `evaluate.py` reads in the log of this output."""
    return answer_in(output.model_dump())


def _number(score: SampleScore) -> float:
    value = score.score.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongInputError(
            f"on_scale: sample {score.sample_id} has the score '{value}'; it takes numbers, -10 to 10"
        )
    return float(value)


def _query(score: SampleScore) -> str:
    """Return what the sample is a response to; a score that was replaced may not say it."""
    return str((score.score.metadata or {}).get("query", "")) or str(score.sample_id or "")
