"""Panels: several judges, each of them a chat model with its own draws."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from valueflow.judge import distinct_names
from valueflow.llm import ChatModel
from valueflow.run import InputError, built, compose_node, nearest
from valueflow.voting.rule import VotingRule

_MAX_JUDGES = 1000


@dataclass(frozen=True)
class PanelMember:
    """One judge of a panel.

    Attributes
    ----------
    name
        What tables call it; no two of a panel are alike.
    llm
        The model that it asks.
    temperature
        0: the likeliest answer each time.
    """

    name: str
    llm: ChatModel
    temperature: float


@dataclass(frozen=True)
class Panel:
    """Judges that vote, and the rule by which their votes decide."""

    members: tuple[PanelMember, ...]
    rule: VotingRule

    def describe(self) -> dict[str, object]:
        """Return what identifies the panel in a summary; no secrets."""
        judges = [
            {"name": member.name, "temperature": member.temperature, **member.llm.identity()} for member in self.members
        ]
        return {"judges": judges, "accept": self.rule.accept, "lead": self.rule.lead}


def build_panel(
    members: Sequence[str | Mapping[str, object]],
    *,
    votes: int = 1,
    temperature: float = 0.0,
    accept: int | None = None,
    lead: int | None = None,
) -> Panel:
    """Build a panel of different models, or of several votes of each.

    Parameters
    ----------
    members
        For each model the name of an option of the group `llm`, such as `phi4`; or what one would write on the command
        line, by key, as `{llm: phi4, llm.dtype: float16, temperature: 0.7}`; or an option that is composed already.
    votes
        Judges that each model makes: they see the options in other orders and draw with other seeds.
    temperature
        Of all members that name none.
    accept, lead
        Votes that are enough, and lead that is enough; None: 5 and 2 of 7 in proportion (`VotingRule.of`).

    Returns
    -------
    Panel
        The judges in the order given.

    Raises
    ------
    InputError
        There is no member, one of them cannot be built, or a number is out of range.
    """
    if not (isinstance(members, list | tuple) and members):
        raise InputError(f"panel.members={members}: give a list of one model or more, such as [phi4, {{llm: gpt}}]")
    if not (isinstance(votes, int) and 1 <= votes <= _MAX_JUDGES):
        raise InputError(f"panel.votes={votes}: give 1 to {_MAX_JUDGES} votes of each model")
    _check_temperature("panel.temperature", temperature)
    models = [_member(number, entry, temperature) for number, entry in enumerate(members, start=1)]
    names = distinct_names([_name(model) for model, _ in models for _ in range(votes)])
    judges = [pair for pair in models for _ in range(votes)]
    return Panel(
        tuple(PanelMember(name, model, warmth) for name, (model, warmth) in zip(names, judges, strict=True)),
        VotingRule.of(len(judges), accept, lead),
    )


def build_server_panel(models: Sequence[str], base_url: str, *, api_key_env: str | None = None, **others: Any) -> Panel:
    """Build a panel of several models of one OpenAI-compatible server.

    Parameters
    ----------
    models
        Their names, as the server calls them.
    base_url
        Where its API begins.
    api_key_env
        Name of the environment variable that holds its key; None: no key.
    **others
        As in `build_panel`.
    """
    if not (isinstance(models, list | tuple) and all(isinstance(name, str) for name in models)):
        raise InputError(f"panel.models={models}: give a list of names")
    server = {"llm": "openai", "llm.base_url": base_url, "llm.api_key_env": api_key_env}
    return build_panel([{**server, "llm.model": name} for name in models], **others)


def _member(number: int, entry: object, temperature: float) -> tuple[ChatModel, float]:
    where = f"panel.members, entry {number}"
    own = dict(entry) if isinstance(entry, Mapping) else {"llm": entry}
    warmth: Any = own.pop("temperature", temperature)
    _check_temperature(f"{where}: temperature", warmth)
    if "_target_" in own:
        node: object = own
    else:
        for key in own:
            if str(key).partition(".")[0] != "llm":
                raise InputError(f"{where}: unknown setting '{key}'; {nearest(str(key), ('llm', 'temperature'))}")
        if not isinstance(own.get("llm"), str):
            raise InputError(f"{where}: {entry} names no model; write it as phi4 or {{llm: phi4}}")
        try:
            node = compose_node("categorize", "llm", own)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
    try:
        model = built(node)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if not (hasattr(model, "start") and hasattr(model, "identity")):
        raise InputError(f"{where}: {type(model).__name__} is no chat model (an object with `start` and `identity`)")
    return model, float(warmth)


def _check_temperature(where: str, given: object) -> None:
    if not (isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < float("inf")):
        raise InputError(f"{where}={given}: give a number of 0 or more")


def _name(model: ChatModel) -> str:
    # Of `organisation/model` and of a folder, the last part says which it is.
    return str(model.identity()["model"]).rstrip("/").rpartition("/")[2]


def by_model(members: Sequence[PanelMember]) -> Iterator[tuple[ChatModel, list[int]]]:
    """Give out each different model with the indices of the members that ask it."""
    left = list(range(len(members)))
    while left:
        model = members[left[0]].llm
        own = [index for index in left if members[index].llm == model]
        left = [index for index in left if index not in own]
        yield model, own
