"""Measure and steer the human values that a language model expresses.

>>> from valueflow import evaluate_responses
>>> result = evaluate_responses(theory="pvq", value="benevolence", intensity=2)  # doctest: +SKIP
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from valueflow.evaluation import Evaluation, EvaluationSettings, evaluate_responses

__all__ = ["Evaluation", "EvaluationSettings", "evaluate_responses"]
__version__ = version("valueflow")


def __getattr__(name: str) -> Any:
    # `import valueflow` and every --help stay fast: pandas and what stands on it load on first use.
    if name in __all__:
        from valueflow import evaluation

        return getattr(evaluation, name)
    raise AttributeError(f"module 'valueflow' has no attribute '{name}'")
