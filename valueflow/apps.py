"""The commands: one function an app, each Hydra around one function of the Python API."""

from collections.abc import Callable

from valueflow.run.app import Outcome, run_app


def evaluate() -> None:
    """Score responses on a value: `python evaluate.py`, installed as `valueflow-evaluate`."""

    def load() -> Callable[..., Outcome]:
        from valueflow.evaluation import evaluate_responses

        return evaluate_responses

    run_app("evaluate", load)
