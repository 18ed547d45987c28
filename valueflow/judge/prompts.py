"""Ranking prompts: the config group `prompt`."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from valueflow.llm import Message, check_places, escape_special_tokens, fill, quote_text
from valueflow.run import InputError, Settings
from valueflow.theory import Theory

_PLACES = {
    "system": ("theory", "label", "value", "definition", "k"),
    "user": ("theory", "label", "value", "definition", "k", "items"),
    "retry": ("theory", "label", "value", "definition", "k", "fault"),
}
_MAX_QUOTED_ANSWER = 500


def prompt_digest(prompt: BaseModel) -> str:
    """Return 12 hexadecimal digits of all that a prompt says: another wording under the same name has others."""
    return hashlib.sha256(prompt.model_dump_json().encode()).hexdigest()[:12]


class RankingExample(BaseModel):
    """A ranking that is shown to a judge before it is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: str
    texts: tuple[str, ...] = Field(min_length=2)
    ranking: tuple[int, ...]

    @model_validator(mode="after")
    def _check_ranking(self) -> Self:
        if sorted(self.ranking) != list(range(1, len(self.texts) + 1)):
            raise ValueError(f"the ranking {list(self.ranking)} does not name each of the {len(self.texts)} texts once")
        return self


class RankingPrompt(Settings):
    """How a language model is asked to rank the items of a window; `configs/prompt/default.yaml` describes it."""

    name: str
    system: str
    user: str
    retry: str
    examples: dict[str, RankingExample] = Field({})

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        for field, known in _PLACES.items():
            check_places(field, getattr(self, field), known)
        if self.user.count("{items}") != 1:
            raise ValueError("user must hold {items} once: the texts' place")
        return self

    def about(self, theory: Theory, value: str) -> "ValuePrompt":
        """Word the prompt for one value.

        Raises
        ------
        InputError
            The prompt shows examples, but has none for this theory.
        """
        if self.examples and theory.name not in self.examples:
            raise InputError(
                f"prompt '{self.name}' has no example for theory '{theory.name}'; add prompt.examples.{theory.name} "
                f"or use prompt=default. It has: {', '.join(self.examples)}"
            )
        return ValuePrompt(self, theory, value)


class ValuePrompt:
    """A ranking prompt about one value of a theory."""

    def __init__(self, prompt: RankingPrompt, theory: Theory, value: str) -> None:
        self._prompt = prompt
        self._theory = theory
        self._value = value
        self._shown = self._example()

    def conversation(self, items: Sequence[str]) -> tuple[Message, ...]:
        """Ask for a ranking of items, given as quoted texts in the order shown."""
        question = self._filled("user", self._value, len(items), {"items": _numbered(items)})
        return (*self._system(len(items)), *self._shown, {"role": "user", "content": question})

    def again(self, conversation: Sequence[Message], answer: str, fault: str, k: int) -> tuple[Message, ...]:
        """Ask once more after an answer that cannot be used."""
        # Many chat templates refuse an empty turn.
        said = escape_special_tokens(answer.strip()[:_MAX_QUOTED_ANSWER]) or "(nothing)"
        repeated = self._filled("retry", self._value, k, {"fault": fault})
        return (*conversation, {"role": "assistant", "content": said}, {"role": "user", "content": repeated})

    def _system(self, k: int) -> tuple[Message, ...]:
        filled = self._filled("system", self._value, k, {})
        return ({"role": "system", "content": filled},) if filled else ()

    def _example(self) -> tuple[Message, ...]:
        example = self._prompt.examples.get(self._theory.name)
        if example is None:
            return ()
        value = self._theory.resolve(example.value)
        items = _numbered([quote_text(text, len(text.encode()) * 6)[0] for text in example.texts])
        question = self._filled("user", value, len(example.texts), {"items": items})
        answer = f"[{', '.join(map(str, example.ranking))}]"
        return ({"role": "user", "content": question}, {"role": "assistant", "content": answer})

    def _filled(self, field: str, value: str, k: int, more: Mapping[str, str]) -> str:
        node = self._theory.nodes[value]
        words = {
            "theory": self._theory.title,
            "label": self._theory.label,
            "value": node.label,
            "definition": node.definition,
            "k": str(k),
            **more,
        }
        return fill(getattr(self._prompt, field), words)


def _numbered(items: Sequence[str]) -> str:
    return "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))
