"""Several judges as one: each ranks every window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from valueflow.judge.protocol import Criterion, Judge, Progress
from valueflow.judge.windows import RankedWindows, Windows
from valueflow.run import InputError, built, compose_node, nearest

_JUDGE_KEYS = ("judge", "llm", "prompt", "cache", "seed")
"""Keys of the configuration that make a judge."""


@dataclass(frozen=True)
class PanelJudge:
    """Asks each of its members about all windows, one member after another.

    So each member gets whole batches, and of several large models only one need be loaded at a time.

    Attributes
    ----------
    members
        The judges, two or more; none of them a panel.
    """

    members: Sequence[Judge]

    def __post_init__(self) -> None:
        for number, member in enumerate(self.members, start=1):
            if not isinstance(member, Judge):
                raise InputError(
                    f"judge.members, entry {number}: {type(member).__name__} is no judge (an object with `rank`, "
                    "`describe` and `rankings_per_window`)"
                )
            if member.rankings_per_window != 1:
                raise InputError(f"judge.members, entry {number}: a panel cannot sit in a panel; list its members here")
        if len(self.members) < 2:
            raise InputError(f"judge.members: {len(self.members)} given; a panel needs 2 judges or more")

    @property
    def rankings_per_window(self) -> int:
        """The number of members."""
        return len(self.members)

    @property
    def names(self) -> tuple[str, ...]:
        """Short names of the members, no two equal: kind and model, such as `llm phi-4`."""
        return distinct_names([_name(member.describe()) for member in self.members])

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        """Have every member rank every window."""
        rankings = {
            name: member.rank(criterion, windows, _with_name(name, progress))
            for name, member in zip(self.names, self.members, strict=True)
        }
        return RankedWindows.of_panel(rankings, _joint_report({name: own.report for name, own in rankings.items()}))

    def describe(self) -> dict[str, object]:
        """Return the kind, and what identifies each member."""
        return {"kind": "panel", "members": [member.describe() for member in self.members]}


def judge_panel(
    members: Sequence[str | Mapping[str, object]], common: Mapping[str, object] | None = None
) -> PanelJudge:
    """Build a panel from its settings, as `judge=panel` gives them.

    Parameters
    ----------
    members
        For each judge what one would write on the command line, by key: `{judge: llm, llm: phi4}`,
        `{judge: embedding, judge.batch_size: 8}`; a mere `embedding` is `{judge: embedding}`.
    common
        Settings of the run that all members take over; a member's own entry wins.

    Returns
    -------
    PanelJudge
        The judges in the order given.

    Raises
    ------
    InputError
        There are fewer than two members, or one is no judge, is a panel, or cannot be built.
    """
    if not isinstance(members, list | tuple):
        raise InputError(f"judge.members={members}: give a list, such as [embedding, {{judge: llm, llm: phi4}}]")
    return PanelJudge([_member(number, entry, common or {}) for number, entry in enumerate(members, start=1)])


def _member(number: int, entry: object, common: Mapping[str, object]) -> Judge:
    own = {"judge": entry} if isinstance(entry, str) else entry
    if not (isinstance(own, Mapping) and all(isinstance(key, str) for key in own) and "judge" in own):
        raise InputError(
            f"judge.members, entry {number}: {entry} names no judge; write it as {{judge: llm, llm: phi4}} or embedding"
        )
    for key in own:
        if key.partition(".")[0] not in _JUDGE_KEYS:
            raise InputError(
                f"judge.members, entry {number}: '{key}' is the run's, not a judge's; {nearest(key, _JUDGE_KEYS)}, "
                "and what is in them, as llm.model"
            )
    try:
        judge: Judge = built(compose_node("evaluate", "judge", {**common, **own}))
    except InputError as error:
        raise InputError(f"judge.members, entry {number}: {error}") from error
    return judge


def _name(description: Mapping[str, object]) -> str:
    subject = description.get("model") or description.get("encoder") or ""
    # The last part identifies `organization/model` and a folder.
    return " ".join(f"{description.get('kind', 'judge')} {str(subject).rstrip('/').rpartition('/')[2]}".split())


def distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    """Append a number to each name that came before."""
    distinct: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in distinct:
            number += 1
            candidate = f"{name} {number}"
        distinct.append(candidate)
    return tuple(distinct)


def _with_name(name: str, progress: Progress) -> Progress:
    def advance(done: int, failed: int, note: str = "") -> None:
        progress(done, failed, f"{name}: {note}" if note else name)

    return advance


def _joint_report(reports: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Sum the whole numbers that the members report; shares and rates have no sum."""
    by_name = {name: dict(report) for name, report in reports.items() if report}
    sums: dict[str, object] = {
        key: sum(count for report in by_name.values() if isinstance(count := report.get(key), int))
        for key in dict.fromkeys(key for report in by_name.values() for key in report)
        if all(type(report.get(key, 0)) is int for report in by_name.values())
    }
    return {**sums, "members": by_name} if by_name else {}
