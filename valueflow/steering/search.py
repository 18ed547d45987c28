"""Layer and strength by trial: on held-out queries, within a bound on what the responses lose in fluency."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from valueflow.run import PositiveInt, Settings
from valueflow.steering.targets import INTENSITIES

Fraction = Annotated[float, Field(ge=0, le=1)]
Multiple = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SearchSettings(Settings):
    """What `layer=search` and `strength=search` try."""

    queries: PositiveInt = Field(description="Held-out queries, none of which the run asks.")
    layers: Annotated[list[Fraction], Field(min_length=1)] = Field(description="Fractions of depth.")
    strengths: Annotated[list[Multiple], Field(min_length=1)] = Field(description="Multiples of the mean norm.")
    most_perplexity: float = Field(ge=1, description="Most perplexity, as a multiple of that of unsteered responses.")
    judge: str = Field(description="What scores the responses: an option of the group judge.")


@dataclass(frozen=True)
class Trial:
    """What the held-out queries gave under one way to steer.

    Attributes
    ----------
    score
        Mean score of the responses on the value, in [-10, 10].
    perplexity
        Geometric mean perplexity of the responses under the unsteered model.
    """

    score: float
    perplexity: float


class Trials:
    """Trials of one value, each made once.

    Parameters
    ----------
    steered
        Adds the vector after some layers, by number, at a multiple of the mean norm.
    prompted
        Asks by the words of `steering=anchor` at an intensity.
    unsteered
        The trial without steering.
    """

    def __init__(
        self, steered: Callable[[Sequence[int], float], Trial], prompted: Callable[[int], Trial], unsteered: Trial
    ) -> None:
        self._steered = steered
        self._prompted = prompted
        self._unsteered = unsteered
        self._made: dict[tuple[tuple[int, ...], float], Trial] = {}
        self._words: dict[int, Trial] = {}

    def at(self, layers: Sequence[int], multiple: float) -> Trial:
        """Return the trial with the vector."""
        if multiple == 0:
            return self._unsteered
        key = (tuple(layers), multiple)
        if key not in self._made:
            self._made[key] = self._steered(layers, multiple)
        return self._made[key]

    def by_words(self, intensity: int) -> Trial:
        """Return the trial with the prompt."""
        if intensity not in self._words:
            self._words[intensity] = self._prompted(intensity)
        return self._words[intensity]

    def loss(self, trial: Trial) -> float:
        """Return the perplexity of a trial as a multiple of the unsteered one."""
        return trial.perplexity / self._unsteered.perplexity

    def table(self) -> list[dict[str, object]]:
        """Return a row per trial, for the summary."""
        rows: list[tuple[dict[str, object], Trial]] = [({"trial": "unsteered"}, self._unsteered)]
        rows += [({"trial": "anchor", "intensity": intensity}, trial) for intensity, trial in self._words.items()]
        rows += [
            ({"trial": "activation", "layers": list(layers), "strength": multiple}, trial)
            for (layers, multiple), trial in self._made.items()
        ]
        return [
            {**what, "score": trial.score, "perplexity": trial.perplexity, "loss": self.loss(trial)}
            for what, trial in rows
        ]


def search_layer(trials: Trials, layers: Sequence[int], strongest: tuple[float, float], most: float) -> int:
    """Return the layer that moves the score most from the lowest to the highest multiple.

    Parameters
    ----------
    trials
        Of the value.
    layers
        Numbers of layers to choose from.
    strongest
        The multiples at intensities -2 and 2.
    most
        Bound on the loss at both. Where no layer keeps to it, the one that loses least is chosen.
    """
    low, high = strongest
    pairs = [(trials.at([layer], low), trials.at([layer], high)) for layer in layers]
    effects = np.array([above.score - below.score for below, above in pairs])
    losses = np.array([max(map(trials.loss, pair)) for pair in pairs])
    fluent = (losses <= most) & np.isfinite(effects)
    chosen = np.argmax(np.where(fluent, effects, -np.inf)) if fluent.any() else np.argmin(losses)
    return layers[int(chosen)]


def search_strengths(trials: Trials, layers: Sequence[int], multiples: Sequence[float], most: float) -> list[float]:
    """Return for each intensity the multiple whose score is nearest to that of the prompt, among fluent ones.

    Above 0 the multiples are tried as they are, below 0 with the opposite sign; 0, which changes nothing, is among the
    choices at each intensity. Of equally near ones the smallest is returned. At intensity 0 it is always 0.
    """

    def chosen(intensity: int) -> float:
        target = trials.by_words(intensity).score
        sign = 1 if intensity > 0 else -1
        tried = {multiple: trials.at(layers, multiple) for multiple in (0.0, *(sign * one for one in multiples))}
        allowed = {
            multiple: abs(trial.score - target)
            for multiple, trial in tried.items()
            if multiple == 0 or trials.loss(trial) <= most
        }
        return float(min(allowed, key=lambda multiple: (np.nan_to_num(allowed[multiple], nan=np.inf), abs(multiple))))

    return [chosen(intensity) if intensity else 0.0 for intensity in INTENSITIES]
