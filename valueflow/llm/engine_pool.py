"""The running engines of this process: started once, kept for the next jobs of a sweep."""

import atexit
import logging
import os
import threading
import time
from dataclasses import dataclass, field

from valueflow.llm.protocol import ChatModel, Engine

_MAX_CONNECTIONS = 8
"""Engines kept at most that take no memory of this machine; the one unused for longest goes first."""

_log = logging.getLogger(__name__)


@dataclass
class _Started:
    """Models with their engines, the one used last at the end, and what was said of them to the user."""

    pairs: list[tuple[ChatModel, Engine]] = field(default_factory=list)
    told: list[tuple[ChatModel, str]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)


_started = _Started()


def running_engine(model: ChatModel) -> Engine:
    """Return the engine of a model; it is started if no equal (`==`) model runs already.

    A model that occupies the machine takes the place of the one that did before, whose engine
    is closed first. So ask anew for each batch, and use one such model at a time.

    Raises
    ------
    InputError
        The engine cannot be started.
    """
    with _started.lock:
        for pair in _started.pairs:
            if pair[0] == model:
                _started.pairs.remove(pair)
                _started.pairs.append(pair)
                return pair[1]
        alike = [pair for pair in _started.pairs if pair[0].occupies_machine == model.occupies_machine]
        for pair in alike if model.occupies_machine else alike[: -(_MAX_CONNECTIONS - 1)]:
            _stop(pair)
        identity = model.identity()
        begin = time.perf_counter()
        engine = model.start()
        _started.pairs.append((model, engine))
        _log.info("started %s %s in %.1f s", identity["engine"], identity["model"], time.perf_counter() - begin)
        return engine


def is_news(model: ChatModel, subject: str) -> bool:
    """Return whether this is asked for the first time while the engine of a model runs: what is to be said once."""
    with _started.lock:
        if (model, subject) in _started.told:
            return False
        _started.told.append((model, subject))
        return True


def release(model: ChatModel | None = None) -> None:
    """Close the engine of a model if it runs, or all engines.

    An engine that fails to close is forgotten all the same, and the failure logged.
    """
    with _started.lock:
        for pair in [pair for pair in _started.pairs if model is None or pair[0] == model]:
            _stop(pair)


def _stop(pair: tuple[ChatModel, Engine]) -> None:
    _started.pairs[:] = [other for other in _started.pairs if other is not pair]
    _started.told[:] = [told for told in _started.told if told[0] != pair[0]]
    try:
        pair[1].close()
    except Exception as error:
        _log.warning("the engine of %s did not close: %s", pair[0].identity()["model"], error)


def _forget() -> None:
    """Begin with no engines in a forked process: those it inherits are its parent's to use and to close."""
    global _started
    _inherited.append(_started)
    _started = _Started()


_inherited: list[_Started] = []
"""Keeps a parent's engines from being collected, which could end them."""

atexit.register(release)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
