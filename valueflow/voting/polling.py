"""A panel asked a batch of questions with options: worded, shuffled, answered, read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from valueflow.llm import (
    CacheMode,
    ChatModel,
    Client,
    Completion,
    Conversation,
    LazySequence,
    Message,
    Sampling,
    Usage,
    fill,
    name_constraint,
    read_name,
)
from valueflow.run import keyed_uniforms, shorten, split_keys
from valueflow.voting.panel import Panel, by_model
from valueflow.voting.rule import ABSTAINED

_LONGEST_REASON = 160


@dataclass(frozen=True)
class Option:
    """One of the options of a question: its id, the name it is shown by and answered with, what it means."""

    id: str
    name: str
    definition: str


@dataclass(frozen=True)
class PollQuestion:
    """What each judge is asked.

    Attributes
    ----------
    key
        From which the orders of the options are drawn.
    words
        What stands for the names in braces of the template, but for `options`.
    options
        2 or more; each judge sees them in an order of its own.
    """

    key: np.uint64
    words: Mapping[str, str]
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Votes:
    """What J judges said to B questions.

    Attributes
    ----------
    choices
        (B, J) index of the option that a judge chose, `ABSTAINED` where the answer was of no use.
    reasons
        (B, J) why a judge abstained, empty where it did not.
    orders
        (B, J) the order in which a judge saw the options, their ids joined by `|`.
    """

    choices: npt.NDArray[np.int64]
    reasons: npt.NDArray[np.object_]
    orders: npt.NDArray[np.object_]


@dataclass
class Polling:
    """Puts questions to the judges of a panel, and keeps account of what it took.

    Each model gets the questions of all its judges as one batch.

    Attributes
    ----------
    panel
        The judges.
    system
        Template of the system message, without names in braces; empty for models that take none.
    cache, seed, max_tokens, progress
        As in the settings.
    usage
        What asking has taken so far.
    batches
        Batches so far, by judge; judges that share a model share its batches.
    abstentions
        By judge and reason.
    """

    panel: Panel
    system: str
    cache: CacheMode
    seed: int
    max_tokens: int
    progress: bool
    usage: Usage = field(default_factory=Usage)
    batches: Counter[str] = field(default_factory=Counter)
    abstentions: Counter[tuple[str, str]] = field(default_factory=Counter)
    _latest: ChatModel | None = field(default=None, init=False)

    def ask(self, template: str, questions: Sequence[PollQuestion], title: str) -> Votes:
        """Ask every judge every question.

        Parameters
        ----------
        template
            Of the user's message; `{options}` holds one line an option.
        questions
            B questions.
        title
            Of the progress bar.

        Raises
        ------
        InputError
            A model cannot be used at all.
        """
        members = self.panel.members
        shape = (len(questions), len(members))
        choices = np.full(shape, ABSTAINED, dtype=np.int64)
        reasons, orders = np.full(shape, "", dtype=object), np.full(shape, "", dtype=object)
        shown = _orders(questions, len(members))
        # The model that runs already goes first, so that a machine with room for one loads each once a batch.
        for model, own in sorted(by_model(members), key=lambda group: group[0] != self._latest):
            asked = [(judge, row) for judge in own for row in range(len(questions))]
            conversations = self._conversations(template, questions, shown, asked)
            samplings = [self._sampling(judge, questions[row]) for judge, row in asked]
            client = Client(model, self.cache)
            completions = client.ask(
                conversations,
                samplings,
                title=f"{title}, {model.identity()['model']}",
                unit="votes",
                progress=self.progress,
            )
            self.usage += client.usage
            self._latest = model
            for place, completion in enumerate(completions):
                judge, row = own[place // len(questions)], place % len(questions)
                choices[row, judge], reasons[row, judge] = _read(completion, questions[row].options)
                orders[row, judge] = "|".join(questions[row].options[option].id for option in shown[row, judge])
            for judge in own:
                self.batches[members[judge].name] += 1
        for row, judge in np.argwhere(choices == ABSTAINED).tolist():
            self.abstentions[members[judge].name, reasons[row, judge]] += 1
        return Votes(choices, reasons, orders)

    def _conversations(
        self,
        template: str,
        questions: Sequence[PollQuestion],
        shown: Mapping[tuple[int, int], npt.NDArray[np.int64]],
        asked: Sequence[tuple[int, int]],
    ) -> Sequence[Conversation]:
        """Return a conversation for each (judge, question)."""

        def conversation(place: int) -> Conversation:
            judge, row = asked[place]
            return self._conversation(template, questions[row], shown[row, judge])

        return LazySequence(len(asked), conversation)

    def _conversation(self, template: str, question: PollQuestion, order: npt.NDArray[np.int64]) -> Conversation:
        options = (question.options[option] for option in order.tolist())
        lines = "\n".join(f"- {option.name}: {option.definition}" for option in options)
        user: Message = {"role": "user", "content": fill(template, {**question.words, "options": lines})}
        return [{"role": "system", "content": self.system.strip()}, user] if self.system.strip() else [user]

    def _sampling(self, judge: int, question: PollQuestion) -> Sampling:
        temperature = self.panel.members[judge].temperature
        return Sampling(
            temperature=temperature,
            max_tokens=self.max_tokens,
            # It decides nothing at temperature 0; completions cached under one seed serve all.
            seed=self.seed + judge if temperature > 0 else 0,
            constraint=name_constraint([option.name for option in question.options]),
        )


def _orders(questions: Sequence[PollQuestion], n_judges: int) -> dict[tuple[int, int], npt.NDArray[np.int64]]:
    """Return for each question and judge the order in which the options are shown."""
    keys = split_keys(np.array([question.key for question in questions], dtype=np.uint64), n_judges)
    most = max(len(question.options) for question in questions)
    draws = keyed_uniforms(keys.ravel(), most).reshape(len(questions), n_judges, most)
    return {
        (row, judge): np.argsort(draws[row, judge, : len(question.options)], kind="stable")
        for row, question in enumerate(questions)
        for judge in range(n_judges)
    }


def _read(completion: Completion, options: Sequence[Option]) -> tuple[int, str]:
    if completion.error:
        return ABSTAINED, shorten(completion.error, _LONGEST_REASON)
    choice = read_name(completion.text, [option.name for option in options], truncated=completion.truncated)
    if choice is None:
        is_empty = not completion.text.strip()
        return ABSTAINED, "the answer is empty" if is_empty else "the answer names no option, or several"
    return choice, ""
