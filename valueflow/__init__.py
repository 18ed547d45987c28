"""Measure and steer the human values that a language model expresses.

>>> from valueflow import evaluate_responses, steer
>>> steered = steer(theory="pvq", value="benevolence", intensity=2)  # doctest: +SKIP
>>> result = evaluate_responses(theory="pvq", value="benevolence", intensity=2)  # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from valueflow.categorization import Categorization, categorize
    from valueflow.construction import Construction, build_vidb
    from valueflow.encoder.extraction import Embeddings, extract
    from valueflow.evaluation import Evaluation, EvaluationSettings, evaluate_responses
    from valueflow.hives import ConvertedTable, MeasuredEncoder, TrainedEncoder, train
    from valueflow.steering import SteeredResponses, SurveyAnswers, steer

_ROOMS = {
    "Categorization": "categorization",
    "categorize": "categorization",
    "Construction": "construction",
    "build_vidb": "construction",
    "Embeddings": "encoder.extraction",
    "extract": "encoder.extraction",
    "ConvertedTable": "hives",
    "MeasuredEncoder": "hives",
    "TrainedEncoder": "hives",
    "train": "hives",
    "Evaluation": "evaluation",
    "EvaluationSettings": "evaluation",
    "evaluate_responses": "evaluation",
    "SteeredResponses": "steering",
    "SurveyAnswers": "steering",
    "steer": "steering",
}

__all__ = [
    "Categorization",
    "Construction",
    "ConvertedTable",
    "Embeddings",
    "Evaluation",
    "EvaluationSettings",
    "MeasuredEncoder",
    "SteeredResponses",
    "SurveyAnswers",
    "TrainedEncoder",
    "build_vidb",
    "categorize",
    "evaluate_responses",
    "extract",
    "steer",
    "train",
]
__version__: str


def __getattr__(name: str) -> Any:
    # `import valueflow` and every --help stay fast: pandas and what stands on it load on first use.
    if name == "__version__":
        from importlib.metadata import version

        return version("valueflow")
    if name in _ROOMS:
        from importlib import import_module

        return getattr(import_module(f"valueflow.{_ROOMS[name]}"), name)
    raise AttributeError(f"module 'valueflow' has no attribute '{name}'")
