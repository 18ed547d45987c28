"""Measure and steer the human values that a language model expresses.

>>> from valueflow import evaluate_responses, steer
>>> steered = steer(theory="pvq", value="benevolence", intensity=2)  # doctest: +SKIP
>>> result = evaluate_responses(theory="pvq", value="benevolence", intensity=2)  # doctest: +SKIP
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
