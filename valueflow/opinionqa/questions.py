"""Survey questions with the answers that a group has given."""

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from valueflow.opinionqa.scales import scale_positions
from valueflow.run import InputError, shorten

DEMO = "demo"
DEMO_FILE = Path(__file__).parents[1] / "assets" / "opinionqa" / "questions.json"

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

GROUPS = {
    "CREGION": "region",
    "EDUCATION": "education",
    "INCOME": "income",
    "POLIDEOLOGY": "ideology",
    "POLPARTY": "party",
    "RACE": "race",
    "RELIG": "religion",
    "SEX": "sex",
}
"""What the survey calls a kind of group -> our name of it; another kind keeps its own name."""

_LARGEST_POSITION = 1e9

_SUM_TOLERANCE = 1e-3
"""How far the sum of a distribution may lie from 1 at least."""

_FEWEST_DECIMALS = 2
"""Decimals that shares may be rounded to at most."""


@dataclass(frozen=True)
class SurveyQuestion:
    """A question put to one group.

    Attributes
    ----------
    question
        The question alone, without its options.
    options
        The possible answers, in the order of their letters.
    attribute
        The group, as the survey names it: `INCOME_$100,000 or more`.
    gold
        Share of the group that chose each option.
    ordinal
        What the file declares of the options' order; see `scale_positions`.
    """

    question: str
    options: tuple[str, ...]
    attribute: str
    gold: tuple[float, ...]
    ordinal: tuple[float | None, ...] | bool | None = None

    @property
    def group(self) -> str:
        """What kind of group it is: `income`."""
        kind = self.attribute.partition("_")[0]
        return GROUPS.get(kind, kind)

    @property
    def member(self) -> str:
        """Which group of that kind: `$100,000 or more`."""
        return self.attribute.partition("_")[2] or self.attribute

    @property
    def positions(self) -> tuple[float, ...]:
        """Where each option stands on the question's scale; NaN for one on none."""
        return scale_positions(self.options, self.ordinal)

    @property
    def most_frequent(self) -> frozenset[int]:
        """Indices of the options that most of the group chose; several where they tie."""
        shares = np.array(self.gold)
        return frozenset(np.flatnonzero(shares == shares.max()).tolist())


def stem(question: str) -> str:
    r"""Return a question without the frame that survey files put around it.

    `Question: Do you?\nOptions: A. Yes B. No\nAnswer:`, on three lines or on one, becomes `Do you?`; another text stays
    as it is, without the blanks around it.
    """
    text = re.sub(r"^\s*Question:[^\S\n]*", "", question)
    bare = re.sub(r"\n\s*(?:Options:.*|Answer:\s*)\Z", "", text, flags=re.DOTALL)
    if bare == text and text != question:
        # On one line only the whole frame is one: `Options:` may be a word of a question.
        bare = re.sub(r"\s+Options:\s*A\. .*\sAnswer:\s*\Z", "", text, flags=re.DOTALL)
    return bare.strip()


def identity(question: str) -> str:
    """Return what tells a question of a file from others: its words, with its options where they stand in its frame.

    Blanks make no difference; `framed` gives the same of a question and its options.
    """
    if stem(question) == question.strip():
        return _folded(question)
    return _folded(question).removeprefix("Question:").removesuffix("Answer:").strip()


def framed(question: str, options: Sequence[str]) -> str:
    """Return what tells a question with options from others; without any, one that has the same words."""
    listed = " ".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    return _folded(f"{question} Options: {listed}" if options else question)


def once_per_group(items: Sequence[SurveyQuestion]) -> list[SurveyQuestion]:
    """Return items without those that repeat a question to the same group; the first counts."""
    first = {(item.attribute, framed(item.question, item.options)): item for item in reversed(items)}
    kept = {id(item) for item in first.values()}
    return [item for item in items if id(item) in kept]


def load_questions(source: str, limit: int | None, key: str = "opinionqa.questions") -> list[SurveyQuestion]:
    """Read a survey.

    Parameters
    ----------
    source
        JSON file: a list of objects with `question`, `options`, `attribute` and `gold_distribution`, perhaps with
        `ordinal`; or `demo`.
    limit
        Only the first so many; None: all.
    key
        The setting that names the source, for messages.

    Raises
    ------
    InputError
        The file cannot be read, or an entry is not a question with options and a distribution over them; with its
        index, counted from 0 as JSON does.
    """
    path = DEMO_FILE if source == DEMO else Path(source)
    entries = read_json(path, key)
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{key}: {path} must hold a JSON list of one question or more")
    return [_item(entry, f"{path}, index {index}") for index, entry in enumerate(entries[:limit])]


def read_json(path: Path, what: str) -> Any:
    """Read a JSON file; `what` names the setting in the error."""
    if not os.path.isfile(path):
        raise InputError(f"{what}: there is no file {shorten(str(path), 200)}")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{what}: {path} is not UTF-8; save it as UTF-8") from error
    except (ValueError, RecursionError, OSError) as error:
        raise InputError(f"{what}: {path} is no readable JSON: {error}") from error


def _item(entry: object, where: str) -> SurveyQuestion:
    if not isinstance(entry, Mapping):
        raise InputError(f"{where}: an entry must be an object with question, options, attribute, gold_distribution")
    for key in ("question", "options", "attribute", "gold_distribution"):
        if key not in entry:
            raise InputError(f"{where}: '{key}' is missing; it has: {', '.join(map(str, entry))}")
    question, attribute = (_text(entry[key], f"{where}: '{key}'") for key in ("question", "attribute"))
    options, gold = entry["options"], entry["gold_distribution"]
    if not isinstance(options, list) or not options:
        raise InputError(f"{where}: the question has no options; give a list of one text or more")
    if len(options) > len(LETTERS):
        raise InputError(f"{where}: {len(options)} options; there are letters for {len(LETTERS)}")
    texts = tuple(_text(_worded(option), f"{where}: option {LETTERS[number]}") for number, option in enumerate(options))
    if not isinstance(gold, list) or len(gold) != len(options):
        found = len(gold) if isinstance(gold, list) else "no"
        raise InputError(f"{where}: gold_distribution has {found} entries for {len(options)} options; give one each")
    if not all(isinstance(share, int | float) and not isinstance(share, bool) for share in gold):
        raise InputError(f"{where}: gold_distribution holds something that is no number: {shorten(str(gold))}")
    total = math.fsum(gold) if all(0 <= share <= 1 for share in gold) else math.inf
    if abs(total - 1) > max(_SUM_TOLERANCE, len(gold) * _rounding(gold)) + 1e-9:
        raise InputError(
            f"{where}: gold_distribution {shorten(str(gold))} is no distribution; shares lie in [0, 1] and add up to 1"
        )
    bare = stem(question)
    if not bare:
        raise InputError(f"{where}: 'question' holds no question")
    ordinal = _ordinal(entry.get("ordinal"), len(texts), where)
    # Shares that were rounded are made a distribution again; their order stays.
    scale = 1.0 if abs(total - 1) <= _SUM_TOLERANCE else total
    return SurveyQuestion(bare, texts, attribute, tuple(share / scale for share in map(float, gold)), ordinal)


def _rounding(shares: Sequence[float]) -> float:
    """Return how far each share may lie from the one that it was rounded from, by the decimals that they have."""
    decimals = [len(repr(share).partition(".")[2]) for share in shares]
    return 0.5 * 10.0 ** -max(_FEWEST_DECIMALS, *decimals)


def _worded(option: object) -> object:
    """Return a number as a text: the steps of a scale from 1 to 10."""
    if isinstance(option, bool) or not isinstance(option, int | float):
        return option
    return f"{option:g}" if abs(option) < _LARGEST_POSITION else option


def _ordinal(given: object, n_options: int, where: str) -> tuple[float | None, ...] | bool | None:
    right = "give false, true, or a list of a position for each option, null for one on no scale"
    if given is None or isinstance(given, bool):
        return given
    if not isinstance(given, list) or len(given) != n_options:
        found = f"{len(given)} entries for {n_options} options" if isinstance(given, list) else shorten(str(given))
        raise InputError(f"{where}: 'ordinal' is {found}; {right}")
    for position in given:
        is_number = isinstance(position, int | float) and not isinstance(position, bool)
        if position is not None and not (is_number and abs(position) < _LARGEST_POSITION):
            raise InputError(f"{where}: 'ordinal' holds {shorten(str(position))}, which is no position; {right}")
    return tuple(given)


def _folded(text: str) -> str:
    return " ".join(text.split())


def _text(content: object, where: str) -> str:
    if not isinstance(content, str) or not content.strip():
        raise InputError(f"{where} must be a text that is not blank")
    if any("\ud800" <= letter <= "\udfff" for letter in content):
        raise InputError(f"{where} holds half a character; mend it first")
    return content
