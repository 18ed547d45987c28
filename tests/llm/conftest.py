"""A real model, loaded once for all tests of a worker."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="session")
def smollm2() -> Callable[[int], Any]:
    """Return what makes engines of SmolLM2 by their batch size, all with the same weights in memory."""
    from valueflow.llm import TransformersModel
    from valueflow.llm.engines.transformers import TransformersEngine

    loaded = TransformersModel(model="smollm2").start()

    def engine(batch_size: int) -> TransformersEngine:
        settings = TransformersModel(model="smollm2", batch_size=batch_size)
        return TransformersEngine(settings, loaded._tokenizer, loaded._model)

    return engine
