"""The commands: one function an app, most of them Hydra around one function of the Python API."""

from collections.abc import Callable

from valueflow.run.app import Outcome, run_app


def evaluate() -> None:
    """Score responses on a value: `python evaluate.py`, installed as `valueflow-evaluate`."""

    def load() -> Callable[..., Outcome]:
        from valueflow.evaluation import evaluate_responses

        return evaluate_responses

    run_app("evaluate", load)


def steer() -> None:
    """Steer a model to values, or let it answer a survey: `python steer.py`, installed as `valueflow-steer`."""

    def load() -> Callable[..., Outcome]:
        from valueflow.steering import steer

        return steer

    run_app("steer", load)


def categorize() -> None:
    """Place texts in a hierarchy by panel votes: `python categorize.py`, installed as `valueflow-categorize`."""

    def load() -> Callable[..., Outcome]:
        from valueflow.categorization import categorize

        return categorize

    run_app("categorize", load)


def build_vidb() -> None:
    """Make anchors for a value out of raw texts: `python build_vidb.py`, installed as `valueflow-build-vidb`."""

    def load() -> Callable[..., Outcome]:
        from valueflow.construction import build_vidb

        return build_vidb

    run_app("build_vidb", load)


def extract() -> None:
    """Embed texts by theory into NPZ files: `python extract.py`, installed as `valueflow-extract`."""

    def load() -> Callable[..., Outcome]:
        from valueflow.encoder.extraction import extract

        return extract

    run_app("extract", load)


def train() -> None:
    """Train the value embedding, or measure one: `python train.py`, installed as `valueflow-train`."""

    def load() -> Callable[..., Outcome]:
        from valueflow.hives import train

        return train

    run_app("train", load, trains=True)


def cache() -> None:
    """Show or clear the kept answers of language models: installed as `valueflow-cache`."""
    from valueflow.llm.cache_cli import main

    raise SystemExit(main())
