"""Steering inside a model: vectors of values are added to its residual stream, beside any prompt."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from valueflow.llm import AddedTokens, Addition, check_residual_stream
from valueflow.responses import joined
from valueflow.run import InputError, PositiveInt, built, compose_group
from valueflow.steering.directions import DirectionMethod
from valueflow.steering.fitting import Recipe, fitted_vectors
from valueflow.steering.methods import Request, Steered, SteeringMethod
from valueflow.steering.search import SearchSettings, Trial, Trials, search_layer, search_strengths
from valueflow.steering.targets import INTENSITIES, Target
from valueflow.steering.value_vectors import ValueVectors, given_vectors

SEARCH = "search"

Multiple = Annotated[float, Field(allow_inf_nan=False)]


def _layers(given: object) -> object:
    """Refuse what is neither a fraction of depth nor a list of numbers, in one line for both."""
    if given == SEARCH:
        return given
    is_fraction = isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given <= 1
    numbers = given if isinstance(given, list | tuple) else []
    are_numbers = all(isinstance(layer, int) and not isinstance(layer, bool) and layer >= 0 for layer in numbers)
    if not is_fraction and not (numbers and are_numbers and len(set(numbers)) == len(numbers)):
        listed = f"; [{given}] would be that layer alone" if isinstance(given, int) and given > 1 else ""
        raise ValueError(
            f"{given} is neither a fraction of depth, 0 to 1, nor a list of different layer numbers, as [12,16], nor "
            f"search{listed}"
        )
    return given


Layers = Annotated[float | list[int] | Literal["search"], BeforeValidator(_layers)]


class ActivationSteering(SteeringMethod):
    """A vector per value, added to the residual stream at a strength that the intensity decides.

    What is added after a layer is strength x mean norm of the residual stream there x the value's direction. Several
    values add up. At strength 0 nothing is added, and the request is that of the prompt alone.
    """

    prompt: SerializeAsAny[SteeringMethod] = Field(description="How the query is put besides.")
    several: bool = Field(description="false: one value (value=, intensity=); true: lists (values=, intensities=).")
    method: DirectionMethod = Field(description="How the vectors are made of the anchors.")
    anchors_from: float = Field(gt=0, le=10, description="Absolute intensity from which anchors are taken.")
    max_anchors: PositiveInt = Field(description="Most anchors of each side.")
    question: str = Field(min_length=1, description="What the anchors are read as answers to.")
    vectors: str | None = Field(description="Vectors made before, in the place of the anchors'.")
    layer: Layers = Field(description="After which layers: a fraction of depth, numbers, or search.")
    tokens: AddedTokens = Field(description="At which tokens.")
    strength: list[Multiple] | Literal["search"] = Field(
        description="At -2, -1, 0, 1, 2: multiples of the mean residual norm; or search."
    )
    search: SearchSettings = Field(description="What a search tries.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.strength != SEARCH and len(self.strength) != len(INTENSITIES):
            raise ValueError(
                f"strength has {len(self.strength)} numbers and needs one for each intensity: {list(INTENSITIES)}"
            )
        if self.prompt.takes not in ("nothing", self.takes):
            needed = "several values" if self.prompt.takes == "several" else "one value"
            raise ValueError(f"prompt '{self.prompt.name}' takes {needed}, which several={self.several} does not")
        return self

    @property
    def takes(self) -> Literal["one", "several"]:
        """One value, or several at once."""
        return "several" if self.several else "one"

    def steer(self, request: Request) -> Steered:
        """Word the conversations as the prompt does, and add the vectors of the values."""
        what = f"steering={self.name}"
        if request.model is None:
            raise InputError(f"{what} needs a model to work inside")
        check_residual_stream(request.model, what)
        worded = self.prompt.steer(request)
        additions: list[Addition] = []
        strengths: list[float] = []
        reports: dict[str, object] = {}
        vectors: dict[str, ValueVectors] = {}
        for target in request.targets:
            found = vectors[target.value] = self._vectors(request, target.value, what)
            layers, by_intensity, trials = self._chosen(request, target.value, found, what)
            multiple = by_intensity[INTENSITIES.index(target.intensity)]
            strengths.append(multiple)
            additions += self._additions(found, layers, multiple)
            reports[target.value] = _report(found, layers, multiple) | trials
        return Steered(
            worded.conversations,
            {**worded.report, "activation": reports},
            tuple(additions),
            {"strength": joined([f"{multiple:g}" for multiple in strengths])},
            vectors,
        )

    def _vectors(self, request: Request, value: str, what: str) -> ValueVectors:
        assert request.model is not None
        if self.vectors is None:
            recipe = Recipe(self.method, self.anchors_from, self.max_anchors, self.question)
            anchors = request.anchors(value)
            return fitted_vectors(request.model, anchors, recipe, what=what, progress=request.progress)
        found = given_vectors(self.vectors, request.theory.name, value)
        own = request.model.identity()["model"]
        if found.card["model"] != own:
            raise InputError(
                f"steering.vectors: {self.vectors} holds vectors of model '{found.card['model']}', not of '{own}'; "
                "leave vectors out to make them of the anchors"
            )
        return found

    def _additions(self, found: ValueVectors, layers: Sequence[int], multiple: float) -> list[Addition]:
        return [
            Addition(layer, multiple * float(found.norms[layer]), self.tokens, found.vectors[layer])
            for layer in layers
            if multiple
        ]

    def _chosen(
        self, request: Request, value: str, found: ValueVectors, what: str
    ) -> tuple[Sequence[int], Sequence[float], dict[str, object]]:
        """Return layers, multiples by intensity and, where these are searched for, the trials for the summary."""
        n, search = len(found.norms), self.search
        if self.layer != SEARCH and self.strength != SEARCH:
            return self._layers(n, what), [*map(float, self.strength)], {}
        trials = self._trials(request, value, found, what)
        layers = [] if self.layer == SEARCH else self._layers(n, what)
        if self.layer == SEARCH:
            middle = sorted(search.strengths)[len(search.strengths) // 2]
            ends = (-middle, middle) if self.strength == SEARCH else (float(self.strength[0]), float(self.strength[-1]))
            numbers = sorted({_number(fraction, n) for fraction in search.layers})
            layers = [search_layer(trials, numbers, ends, search.most_perplexity)]
        multiples: Sequence[float] = [] if self.strength == SEARCH else [*map(float, self.strength)]
        if self.strength == SEARCH:
            multiples = search_strengths(trials, layers, search.strengths, search.most_perplexity)
        return layers, multiples, {"strengths": list(multiples), "search": trials.table()}

    def _trials(self, request: Request, value: str, found: ValueVectors, what: str) -> Trials:
        """Return the trials of a value: with the plain prompt, whatever prompt the run combines the vector with."""
        assert request.held_out is not None
        attempt = request.held_out(self.search, what)
        plain, words = (built(compose_group("steering", name)) for name in ("none", "anchor"))

        def with_vector(layers: Sequence[int], multiple: float) -> Trial:
            added = tuple(self._additions(found, layers, multiple))
            return attempt(lambda asked: replace(plain.steer(asked), additions=added), value)

        def by_words(intensity: int) -> Trial:
            return attempt(lambda asked: words.steer(replace(asked, targets=(Target(value, intensity),))), value)

        return Trials(with_vector, by_words, attempt(plain.steer, value))

    def _layers(self, n: int, what: str) -> Sequence[int]:
        if not isinstance(self.layer, list):
            return [_number(float(self.layer), n)]
        wrong = next((layer for layer in self.layer if layer >= n), None)
        if wrong is not None:
            raise InputError(
                f"{what}: layer {wrong} does not exist: the model has {n} layers, 0 to {n - 1}; or give a fraction of "
                "depth, such as layer=0.5"
            )
        return self.layer


def _number(fraction: float, n: int) -> int:
    """Return the layer at a fraction of the depth of n layers."""
    return round(fraction * (n - 1))


def _report(found: ValueVectors, layers: Sequence[int], multiple: float) -> dict[str, object]:
    """Return what a summary says of the vectors of a value."""
    card, halves = found.card, found.card.get("halves_cosine") or []
    return {
        "layers": list(layers),
        "of_layers": len(found.norms),
        "strength": multiple,
        "length_added": [multiple * float(found.norms[layer]) for layer in layers],
        "halves_cosine": [halves[layer] for layer in layers] if halves else None,
        **{key: card.get(key) for key in ("method", "supporting", "opposing", "truncated", "anchors_sha256")},
    }
