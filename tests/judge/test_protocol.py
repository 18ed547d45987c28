"""What is checked of any judge's answers."""

from dataclasses import replace

import numpy as np
import pytest

from valueflow.judge import LONGEST_REASON, RankedWindows, Windows
from valueflow.vidb import Anchors


def windows(n: int) -> Windows:
    return Windows(
        responses=np.zeros(n, dtype=np.int64),
        anchors=np.zeros((n, 2), dtype=np.int64),
        prompt_order=np.tile([1, 2, 3], (n, 1)),
        response_texts=np.array(["r"], dtype=object),
        anchor_set=Anchors("t", "v", np.array(["a", "b"], dtype=object), np.array([-1.0, 1.0])),
    )


def test_orders_that_are_no_permutation_become_counted_failures() -> None:
    orders = np.array([[3, 1, 2], [1, 1, 2], [2, 3, 4], [9, 9, 9]])
    checked = windows(4).ranked(orders, np.array(["", "", "", "timed out"], dtype=object))
    assert checked.failures.tolist() == ["", "no permutation of the items", "no permutation of the items", "timed out"]
    assert checked.orders.tolist() == [[3, 1, 2], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert checked.ranked.tolist() == [True, False, False, False]


def test_the_rankings_of_one_judge_are_one_a_window_in_their_order() -> None:
    asked = windows(2)
    rankings = asked.ranked(np.array([[1, 2, 3], [3, 2, 1]]), report={"calls": 2})
    assert rankings.windows.tolist() == [0, 1]
    assert rankings.judges.tolist() == [0, 0]
    assert len(rankings.judge_names) == 1
    assert rankings.report == {"calls": 2}


def test_a_panel_s_rankings_go_window_by_window_and_keep_judge_and_response() -> None:
    asked = replace(windows(2), responses=np.array([1, 0]), anchors=np.array([[0, 1], [1, 0]]))
    first = asked.ranked(np.array([[1, 2, 3], [3, 2, 1]]))
    second = asked.ranked(np.array([[2, 2, 2], [2, 3, 1]]))
    panel = RankedWindows.of_panel({"a": first, "b": second}, {"calls": 4})
    assert panel.windows.tolist() == [0, 0, 1, 1]
    assert panel.judges.tolist() == [0, 1, 0, 1]
    assert panel.responses.tolist() == [1, 1, 0, 0]
    assert panel.intensities.tolist() == [[-1, 1], [-1, 1], [1, -1], [1, -1]]
    assert panel.orders.tolist() == [[1, 2, 3], [0, 0, 0], [3, 2, 1], [2, 3, 1]]
    assert panel.ranked.tolist() == [True, False, True, True]
    assert (panel.judge_names, panel.report) == (("a", "b"), {"calls": 4})
    own = panel[panel.judges == 1]
    assert (own.windows.tolist(), own.failures.tolist()) == ([0, 1], second.failures.tolist())


def test_batches_are_joined_with_windows_numbered_through_and_what_they_took_summed_up() -> None:
    asked = [windows(2), replace(windows(1), responses=np.array([3]), anchors=np.array([[1, 0]]))]
    orders = [np.array([[1, 2, 3], [3, 2, 1]]), np.array([[2, 2, 2]])]
    reports = [{"calls": 2, "texts_truncated": 3, "cache": {"entries": 2}, "members": {"a": {"calls": 2}}}]
    reports.append({"calls": 1, "texts_truncated": 1, "cache": {"entries": 3}, "members": {"a": {"calls": 1}}})
    panels = [
        RankedWindows.of_panel({"a": part.ranked(order), "b": part.ranked(order)}, report)
        for part, order, report in zip(asked, orders, reports, strict=True)
    ]
    joined = RankedWindows.joined(panels)
    assert joined.windows.tolist() == [0, 0, 1, 1, 2, 2]
    assert joined.judges.tolist() == [0, 1, 0, 1, 0, 1]
    assert joined.responses.tolist() == [0, 0, 0, 0, 3, 3]
    assert joined.ranked.tolist() == [True] * 4 + [False] * 2
    assert joined.judge_names == ("a", "b")
    assert joined.report == {
        "calls": 3,
        "texts_truncated": 3,
        "cache": {"entries": 3},
        "members": {"a": {"calls": 3}},
    }
    whole = Windows.joined(asked)
    assert whole.responses[joined.windows].tolist() == joined.responses.tolist()
    assert whole.anchors.tolist() == [[0, 0], [0, 0], [1, 0]]


@pytest.mark.parametrize(("rows", "k", "n_failures"), [(3, 3, 4), (4, 2, 4), (4, 3, 3)])
def test_a_judge_that_does_not_answer_every_window_is_an_error(rows: int, k: int, n_failures: int) -> None:
    with pytest.raises(ValueError, match=r"4 windows of 3 items need orders of shape \(4, 3\)"):
        windows(4).ranked(np.ones((rows, k), dtype=np.int64), np.full(n_failures, "", dtype=object))


def test_reasons_that_quote_hostile_answers_become_one_plain_line() -> None:
    reasons = ["said \ud800\x1b[31m\r\nno", "x" * 100_000, "\x00" * 100_000, "caf\u00e9 [/bold] {0}"]
    plain = windows(4).ranked(np.zeros((4, 3), dtype=np.int64), np.array(reasons, dtype=object)).failures.tolist()
    assert plain[0] == r"said \ud800\x1b[31m\r\nno"
    assert plain[3] == reasons[3]
    assert all(reason.isprintable() and len(reason) <= LONGEST_REASON for reason in plain)
    assert plain[1].startswith("xxx")
    assert plain[2].startswith(r"\x00")
