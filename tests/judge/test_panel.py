"""Panels: every member is asked about every window, and what one says of its members."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from valueflow.judge import Criterion, EmbeddingJudge, Judge, PanelJudge, Progress, RankedWindows, Windows, judge_panel
from valueflow.run import InputError, built, compose_node
from valueflow.theory import load_theory
from valueflow.vidb import Anchors, Vidb


@dataclass(frozen=True)
class LengthJudge:
    """Ranks by length of text, the longest first; of some windows it says nothing."""

    rankings_per_window: ClassVar[int] = 1

    model: str
    silent: tuple[int, ...] = ()
    report: Mapping[str, object] = field(default_factory=dict)

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        anchors = np.vectorize(len)(windows.anchor_set.texts)[windows.anchors]
        responses = np.vectorize(len)(windows.response_texts)[windows.responses]
        orders = np.argsort(-np.column_stack([responses, anchors]), axis=1, kind="stable") + 1
        failures = np.full(len(windows), "", dtype=object)
        failures[list(self.silent)] = "no answer"
        for failure in failures:
            progress(1, int(failure != ""), "counting" if failure else "")
        return windows.ranked(orders, failures, report=self.report)

    def describe(self) -> dict[str, object]:
        return {"kind": "length", "model": self.model}


class RepeatingJudge(LengthJudge):
    """Names the response K times."""

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        progress(len(windows), 0)
        return windows.ranked(np.ones((len(windows), windows.k), dtype=np.int64))


POOL = Anchors("pvq", "power", np.array(["a", "bb", "cccc"], dtype=object), np.array([-1.0, 0, 1]))
WINDOWS = Windows(
    responses=np.array([0, 0, 1]),
    anchors=np.array([[0, 1], [2, 0], [1, 2]]),
    prompt_order=np.tile([1, 2, 3], (3, 1)),
    response_texts=np.array(["ddd", "eeeee"], dtype=object),
    anchor_set=POOL,
)
CRITERION = Criterion(load_theory("pvq"), "power", Vidb("test", (POOL,), 0, "digest"))


def ignore(done: int, failed: int, note: str = "") -> None:
    pass


def test_every_member_ranks_every_window() -> None:
    reported: list[tuple[int, int, str]] = []
    panel = PanelJudge([LengthJudge("org/one"), RepeatingJudge("two"), LengthJudge("one", silent=(1,))])
    rankings = panel.rank(CRITERION, WINDOWS, lambda done, failed, note="": reported.append((done, failed, note)))
    assert panel.rankings_per_window == 3
    assert rankings.judge_names == ("length one", "length two", "length one 2")
    assert rankings.judges.tolist() == [0, 1, 2] * 3
    assert rankings.windows.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    by_hand = [[1, 3, 2], [2, 1, 3], [1, 3, 2]]
    none = [0, 0, 0]
    first, second, third = by_hand
    assert rankings.orders.tolist() == [first, none, first, second, none, none, third, none, third]
    same_twice = "no permutation of the items"
    assert rankings.failures.tolist() == ["", same_twice, "", "", same_twice, "no answer", "", same_twice, ""]
    assert sum(done for done, _, _ in reported) == 9
    assert [note for _, _, note in reported[3:6]] == ["length two", "length one 2", "length one 2: counting"]


def test_a_panel_says_who_sits_in_it() -> None:
    panel = PanelJudge([LengthJudge("one"), EmbeddingJudge()])
    members = [{"kind": "length", "model": "one"}, {"kind": "embedding", "encoder": "minilm"}]
    assert panel.describe() == {"kind": "panel", "members": members}
    assert isinstance(panel, Judge)


@pytest.mark.parametrize(
    ("models", "names"),
    [
        (["a", "a", "a"], ["length a", "length a 2", "length a 3"]),
        (["a", "a", "a 2"], ["length a", "length a 2", "length a 2 2"]),
        (["a 2", "a", "a"], ["length a 2", "length a", "length a 3"]),
        (["x/a", "y/a", "folder/b/"], ["length a", "length a 2", "length b"]),
        (["", "two\n  lines"], ["length", "length two lines"]),
    ],
)
def test_names_are_short_and_no_two_alike(models: list[str], names: list[str]) -> None:
    assert list(PanelJudge([LengthJudge(model) for model in models]).names) == names


def test_reports_are_summed_and_kept_by_name() -> None:
    first = {"calls": 3, "prompt_tokens": 100, "speed": 1.5, "texts_truncated": 2}
    second = {"calls": 4, "prompt_tokens": 50, "speed": 2.5}
    panel = PanelJudge([LengthJudge("a", report=first), LengthJudge("b"), LengthJudge("b", report=second)])
    assert panel.rank(CRITERION, WINDOWS, ignore).report == {
        "calls": 7,
        "prompt_tokens": 150,
        "texts_truncated": 2,
        "members": {"length a": first, "length b 2": second},
    }


def test_judges_that_report_nothing_make_a_panel_that_reports_nothing() -> None:
    assert PanelJudge([LengthJudge("a"), LengthJudge("b")]).rank(CRITERION, WINDOWS, ignore).report == {}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: PanelJudge([]), "0 given; a panel needs 2 judges or more"),
        (lambda: PanelJudge([LengthJudge("a")]), "1 given; a panel needs 2 judges or more"),
        (lambda: PanelJudge([LengthJudge("a"), "b"]), "entry 2: str is no judge"),
        (lambda: PanelJudge([PanelJudge([LengthJudge("a")] * 2), LengthJudge("a")]), "entry 1: a panel cannot sit in"),
        (lambda: judge_panel("embedding"), "judge.members=embedding: give a list"),
        (lambda: judge_panel([]), "a panel needs 2 judges"),
        (lambda: judge_panel(["embedding", 3]), "entry 2: 3 names no judge"),
        (lambda: judge_panel(["embedding", {"llm": "phi4"}]), "entry 2: {'llm': 'phi4'} names no judge"),
        (
            lambda: judge_panel(["embedding", "embeding"]),
            "entry 2: judge 'embeding' is unknown; did you mean 'embedding'",
        ),
        (
            lambda: judge_panel(["embedding", {"judge": "embedding", "judge.batch": 1}]),
            "entry 2: unknown setting 'judge.batch'; did you mean 'batch_size'",
        ),
        (lambda: judge_panel(["embedding", "embedding"], {"sed": 1}), "unknown setting 'sed'; did you mean 'seed'"),
        (
            lambda: judge_panel(["embedding", {"judge": "embedding", "judge.batch_size": 0}]),
            "entry 2: judge.batch_size=0",
        ),
    ],
)
def test_what_is_no_panel_is_told(build: Callable[[], PanelJudge], message: str) -> None:
    with pytest.raises(InputError) as caught:
        build()
    assert message in str(caught.value)


def test_members_are_written_as_on_the_command_line() -> None:
    small = {"judge": "embedding", "judge.batch_size": 8}
    panel = judge_panel(["embedding", small], {"seed": 7, "judge.encoder": "bge"})
    assert panel.members == [EmbeddingJudge("bge", seed=7), EmbeddingJudge("bge", 8, seed=7)]
    assert judge_panel(
        ["embedding", {"judge": "embedding", "judge.encoder": "own"}], {"judge.encoder": "bge"}
    ).names == (
        "embedding bge",
        "embedding own",
    )


def test_the_packaged_panel_takes_seed_and_cache_over_from_the_run_unless_a_member_has_its_own() -> None:
    panel = built(compose_node("evaluate", "judge", {"judge": "panel", "seed": 7, "cache": "read"}))
    assert panel.names == ("llm gemma-3-27b-it", "llm Qwen3-32B", "llm phi-4")
    assert [(member.seed, member.cache) for member in panel.members] == [(7, "read")] * 3
    own = {"judge": "llm", "llm": "phi4", "seed": 9, "judge.temperature": 0.5, "prompt": "oneshot"}
    panel = built(compose_node("evaluate", "judge", {"judge": "panel", "seed": 7, "judge.members": ["embedding", own]}))
    assert panel.members[0] == EmbeddingJudge(seed=7)
    assert (panel.members[1].seed, panel.members[1].cache) == (9, "on")
    assert (panel.members[1].temperature, panel.members[1].prompt.name) == (0.5, "oneshot")


def test_members_take_the_prompt_over_from_the_run_unless_they_name_their_own() -> None:
    members = [{"judge": "llm", "llm": "smollm2"}, {"judge": "llm", "llm": "smollm2", "prompt": "default"}]
    node = compose_node(
        "evaluate", "judge", {"judge": "panel", "prompt": "oneshot", "cache": "read", "judge.members": members}
    )
    panel = built(node)
    assert [member.prompt.name for member in panel.members] == ["oneshot", "default"]
    assert [member.cache for member in panel.members] == ["read", "read"]


def test_a_member_s_entry_is_about_the_judge() -> None:
    with pytest.raises(InputError, match="entry 2: 'k' is the run's, not a judge's.*llm.model"):
        judge_panel(["embedding", {"judge": "embedding", "k": 3}])
