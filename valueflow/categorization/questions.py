"""The questions that a panel is asked about texts."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.categorization.descent import NEUTRAL, Ballot
from valueflow.categorization.review import STEP
from valueflow.categorization.settings import CategorizationSettings
from valueflow.llm import quote_text
from valueflow.run import row_keys, split_keys
from valueflow.theory import DIRECTIONS
from valueflow.voting import Option, Polling, PollQuestion, Votes


class Questions:
    """Words the questions about texts and puts them to the panel.

    Parameters
    ----------
    settings
        As checked.
    texts
        (N,) different texts.

    Attributes
    ----------
    polling
        What asking has taken so far.
    truncated
        Number of texts that were truncated.
    """

    def __init__(self, settings: CategorizationSettings, texts: npt.NDArray[np.object_]) -> None:
        self.polling = Polling(
            panel=settings.panel,
            system=settings.wording.system,
            cache=settings.cache,
            seed=settings.seed,
            max_tokens=settings.max_tokens,
            progress=settings.progress,
        )
        self._settings = settings
        self._theory = settings.theory
        shown = [quote_text(text, settings.max_text_bytes) for text in texts]
        self._shown = [text for text, _ in shown]
        self.truncated = sum(truncated for _, truncated in shown)
        # Two rounds a level, and the direction: each question of a text has a key of its own.
        self._keys = split_keys(row_keys(pd.DataFrame({"text": texts}), settings.seed), 2 * self._theory.depth + 1)

    def place(self, ballots: Sequence[Ballot], texts: npt.NDArray[np.intp]) -> Votes:
        """Ask to which child of a node each text belongs.

        Parameters
        ----------
        ballots
            Questions about texts 0 to n-1.
        texts
            (n,) which of the N texts these are.
        """
        questions = [
            PollQuestion(
                self._keys[texts[ballot.text], 2 * (ballot.level - 1) + ballot.round - 1],
                self._words(int(texts[ballot.text])) | {"place": self._place(ballot.path)},
                tuple(self._option(node) for node in ballot.options),
            )
            for ballot in ballots
        ]
        levels = sorted({ballot.level for ballot in ballots})
        title = f"{self._theory.name}, level {' and '.join(map(str, levels))}"
        return self.polling.ask(self._settings.wording.question, questions, title)

    def direct(self, texts: npt.NDArray[np.intp], nodes: Sequence[str]) -> Votes:
        """Ask which side of its node each of some of the N texts takes; the options are `DIRECTIONS`, in order."""
        explained = self._settings.wording.directions
        options = tuple(Option(name, name, explained[name]) for name in DIRECTIONS)
        questions = [
            PollQuestion(
                self._keys[text, -1],
                self._words(int(text))
                | {"value": self._theory.nodes[node].label, "definition": self._theory.nodes[node].definition},
                options,
            )
            for text, node in zip(texts, nodes, strict=True)
        ]
        return self.polling.ask(self._settings.wording.direction, questions, f"{self._theory.name}, direction")

    def _words(self, text: int) -> dict[str, str]:
        return {"theory": self._theory.title, "label": self._theory.label, "text": self._shown[text]}

    def _place(self, path: Sequence[str]) -> str:
        return STEP.join(self._theory.nodes[node].label for node in path) or self._theory.title

    def _option(self, node: str) -> Option:
        if node == NEUTRAL:
            return Option(NEUTRAL, NEUTRAL, self._settings.wording.neutral)
        return Option(node, self._theory.nodes[node].label, self._theory.nodes[node].definition)
