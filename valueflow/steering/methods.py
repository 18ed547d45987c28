"""Steering methods: how a query is put to a model that is to show a value; the config group `steering`."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, model_validator

from valueflow.llm import (
    Addition,
    ChatModel,
    Conversation,
    Message,
    check_places,
    escape_special_tokens,
    fill,
    quote_text,
)
from valueflow.run import InputError, Settings, keyed_uniforms, row_keys
from valueflow.steering.search import SearchSettings, Trial
from valueflow.steering.targets import INTENSITIES, Target, intensity_bins
from valueflow.steering.value_vectors import ValueVectors
from valueflow.theory import Theory
from valueflow.vidb import Anchors

_LARGEST_BLOCK = 2_000_000
"""Random numbers that are drawn at once, about."""


@dataclass(frozen=True)
class Request:
    """What a run steers to.

    Attributes
    ----------
    theory
        The theory of the values.
    targets
        The values and their intensities; none where nothing is steered.
    queries
        N rows with `query` and `dataset`.
    anchors
        Returns the anchors of a value; loaded only by a method that uses some.
    seed
        Of all draws.
    model
        The model that is steered, for a method that works inside it.
    progress
        Whether to show bars.
    held_out
        For a method that searches: returns what tries a way to steer on queries that the run does not ask, and scores
        the responses on a value.
    """

    theory: Theory
    targets: tuple[Target, ...]
    queries: pd.DataFrame
    anchors: Callable[[str], Anchors]
    seed: int
    model: ChatModel | None = None
    progress: bool = False
    held_out: "Callable[[SearchSettings, str], Callable[[Callable[[Request], Steered], str], Trial]] | None" = None


@dataclass(frozen=True)
class Steered:
    """Conversations as a method words them, and what it adds inside the model.

    Attributes
    ----------
    conversations
        N, one per query.
    report
        Counts to report, such as how many texts were truncated.
    additions
        To the residual stream, the same for each conversation.
    columns
        Cells that say how all responses were steered, besides value and intensity.
    vectors
        By value, what the additions were made from.
    """

    conversations: list[Conversation]
    report: dict[str, object]
    additions: tuple[Addition, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    vectors: Mapping[str, ValueVectors] = field(default_factory=dict)


class SteeringMethod(Settings):
    """Base of all methods."""

    name: str = Field(description="What the column `steering` of responses says.")

    @property
    @abstractmethod
    def takes(self) -> Literal["nothing", "one", "several"]:
        """How many values it steers to."""

    @abstractmethod
    def steer(self, request: Request) -> Steered:
        """Word one conversation per query, and say what is added inside the model.

        Raises
        ------
        InputError
            The anchors or the model do not allow it.
        """


class PromptSteering(SteeringMethod):
    """Base of methods that steer by what they say: two templates around a query and a condition.

    In the templates `{query}` is the query as it is and `{condition}` what the method makes of the targets.
    Other braces stand for themselves, also those in texts.
    """

    system: str = Field("", description="Template of the system message; empty for models that take none.")
    user: str = Field(description="Template of the user's message; holds {query}.")

    @abstractmethod
    def conditions(self, request: Request) -> tuple[Sequence[str], dict[str, object]]:
        """Word the condition of each query.

        Returns
        -------
        conditions
            N texts.
        report
            Counts to report.
        """

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        is_steered = self.takes != "nothing"
        known = ("query", "condition") if is_steered else ("query",)
        for key in ("system", "user"):
            check_places(key, getattr(self, key), known)
        if self.user.count("{query}") != 1 or "{query}" in self.system:
            raise ValueError("user must hold {query} once: there the question stands")
        if is_steered and (self.user + self.system).count("{condition}") != 1:
            raise ValueError("user or system must hold {condition} once: there stands what is steered to")
        return self

    def steer(self, request: Request) -> Steered:
        """Word one conversation per query.

        A query is put as it is, but for what a tokenizer might take for a mark of its own (`<|im_end|>`): the first
        character of such a mark is escaped, and the report counts these queries.
        """
        conditions, report = self.conditions(request)
        queries = request.queries["query"].tolist()
        shown = [escape_special_tokens(query, invisible=False) for query in queries]
        escaped = sum(one != other for one, other in zip(queries, shown, strict=True))
        conversations = [
            self._conversation({"query": query, "condition": condition})
            for query, condition in zip(shown, conditions, strict=True)
        ]
        return Steered(conversations, {**report, **({"queries_escaped": escaped} if escaped else {})})

    def _conversation(self, words: dict[str, str]) -> Conversation:
        system: tuple[Message, ...] = (
            ({"role": "system", "content": fill(self.system, words)},) if self.system.strip() else ()
        )
        return (*system, {"role": "user", "content": fill(self.user, words)})


class PlainSteering(PromptSteering):
    """No steering: the query alone, to compare with."""

    @property
    def takes(self) -> Literal["nothing"]:
        """Nothing."""
        return "nothing"

    def conditions(self, request: Request) -> tuple[Sequence[str], dict[str, object]]:
        """Return an empty condition for each query."""
        return [""] * len(request.queries), {}


class Stances(Settings):
    """What is said of a value at each intensity; templates with {value}, {definition}, {label} and {theory}."""

    strongly_values: str = Field(description="At intensity 2.")
    slightly_values: str = Field(description="At intensity 1.")
    neutral: str = Field(description="At intensity 0: the definition and nothing else.")
    slightly_rejects: str = Field(description="At intensity -1.")
    strongly_rejects: str = Field(description="At intensity -2.")

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        for key in type(self).model_fields:
            template = getattr(self, key)
            check_places(key, template, ("value", "definition", "label", "theory"))
            if template.count("{definition}") != 1:
                raise ValueError(f"{key} must hold {{definition}} once")
        return self

    def at(self, intensity: int) -> str:
        """Return the template for an intensity, -2 to 2."""
        return {
            2: self.strongly_values,
            1: self.slightly_values,
            0: self.neutral,
            -1: self.slightly_rejects,
            -2: self.strongly_rejects,
        }[intensity]


class _Targeted(PromptSteering):
    """Base of methods that steer to one value or, where the YAML says so, to several at once."""

    several: bool = Field(description="false: one value (value=, intensity=); true: lists (values=, intensities=).")

    @property
    def takes(self) -> Literal["one", "several"]:
        """One value, or several at once."""
        return "several" if self.several else "one"


class AnchorSteering(_Targeted):
    """The value's definition, phrased at the intensity asked for; for several values one sentence each."""

    stances: Stances = Field(description="What is said of a value at each intensity.")

    def conditions(self, request: Request) -> tuple[Sequence[str], dict[str, object]]:
        """Return the same stance, or stances, for each query."""
        theory = request.theory
        stances = [
            fill(
                self.stances.at(target.intensity),
                {
                    "value": theory.nodes[target.value].label,
                    "definition": theory.nodes[target.value].definition,
                    "label": theory.label,
                    "theory": theory.title,
                },
            )
            for target in request.targets
        ]
        condition = "\n".join(f"- {stance}" for stance in stances) if self.several else stances[0]
        return [condition] * len(request.queries), {}


class UserTextsSteering(_Targeted):
    """Anchors of the intensity asked for, as things the user has said; for several values n texts each.

    Each query gets a draw of its own among the anchors of the bin, which neither the other queries nor their order
    change. A bin of fewer than n texts is shown whole.
    """

    n: int = Field(3, ge=1, strict=True, description="Texts a value.")
    slight_from: float = Field(3.0, ge=0, le=10, description="Absolute intensity from which an anchor is slight.")
    strong_beyond: float = Field(6.5, ge=0, le=10, description="Absolute intensity beyond which it is strong.")
    max_text_bytes: Annotated[int, Field(ge=20, strict=True, description="Most bytes of a text that are shown.")] = 2000

    @model_validator(mode="after")
    def _check_bins(self) -> Self:
        if self.slight_from > self.strong_beyond:
            raise ValueError(f"slight_from={self.slight_from:g} lies above strong_beyond={self.strong_beyond:g}")
        return self

    def conditions(self, request: Request) -> tuple[Sequence[str], dict[str, object]]:
        """Return the drawn texts of each query, one JSON string per line."""
        drawn: list[list[str]] = [[] for _ in range(len(request.queries))]
        truncated, sizes = 0, {}
        for target in request.targets:
            texts = self._texts(request.anchors(target.value), target)
            shown = [quote_text(text, self.max_text_bytes) for text in texts]
            truncated += sum(is_truncated for _, is_truncated in shown)
            sizes[target.value] = len(texts)
            keyed = request.queries.assign(value=target.value, intensity=str(target.intensity))
            for lines, chosen in zip(drawn, _draws(row_keys(keyed, request.seed), len(texts), self.n), strict=True):
                lines += [f"- {shown[text][0]}" for text in chosen]
        return ["\n".join(lines) for lines in drawn], {"texts_in_bin": sizes, "texts_truncated": truncated}

    def _texts(self, anchors: Anchors, target: Target) -> list[str]:
        bins = intensity_bins(anchors.intensities, slight_from=self.slight_from, strong_beyond=self.strong_beyond)
        texts: list[str] = anchors.texts[bins == target.intensity].tolist()
        if not texts:
            counts = ", ".join(f"{bin_}: {int((bins == bin_).sum())}" for bin_ in INTENSITIES)
            raise InputError(
                f"steering={self.name}: no text of '{target.value}' lies in the bin of intensity {target.intensity} "
                f"({self._range(target.intensity)}); texts by bin: {counts}"
            )
        return texts

    def _range(self, intensity: int) -> str:
        slight, strong = self.slight_from, self.strong_beyond
        return {
            2: f"above {strong:g}",
            1: f"{slight:g} to {strong:g}",
            0: f"between {-slight:g} and {slight:g}",
            -1: f"{-strong:g} to {-slight:g}",
            -2: f"below {-strong:g}",
        }[intensity]


def _draws(keys: npt.NDArray[np.uint64], n_texts: int, n: int) -> list[list[int]]:
    """Draw n of so many texts, or all where there are fewer, without replacement for each of N keys."""
    # In blocks, so that many queries and many texts never make one matrix.
    blocks = np.array_split(keys, max(1, len(keys) * n_texts // _LARGEST_BLOCK))
    return [
        chosen
        for block in blocks
        for chosen in np.argsort(keyed_uniforms(block, n_texts), axis=1, kind="stable")[:, :n].tolist()
    ]
