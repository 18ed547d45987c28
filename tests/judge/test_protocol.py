"""What is checked of any judge's answers."""

import numpy as np

from valueflow.judge import Rankings, Windows, checked_rankings
from valueflow.judge.protocol import LONGEST_LINE
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
    checked = checked_rankings(Rankings.of(orders, np.array(["", "", "", "timed out"], dtype=object)), windows(4))
    assert checked.failures.tolist() == ["", "no permutation of the items", "no permutation of the items", "timed out"]
    assert checked.orders.tolist() == [[3, 1, 2], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert checked.ranked.tolist() == [True, False, False, False]


def test_the_rankings_of_one_judge_are_one_a_window_in_their_order() -> None:
    rankings = Rankings.of(np.array([[1, 2, 3], [3, 2, 1]]), np.array(["", ""], dtype=object), report={"calls": 2})
    assert rankings.windows.tolist() == [0, 1]
    assert rankings.judges.tolist() == [0, 0]
    assert len(rankings.judge_names) == 1
    assert rankings.report == {"calls": 2}


def test_which_window_and_judge_a_ranking_is_of_stays_when_it_is_checked() -> None:
    orders = np.array([[1, 2, 3], [3, 2, 1], [2, 2, 2]])
    given = Rankings(orders, np.array([""] * 3, dtype=object), np.array([1, 0, 1]), np.array([0, 1, 1]), ("a", "b"))
    checked = checked_rankings(given, windows(2))
    assert checked.windows.tolist() == [1, 0, 1]
    assert checked.judges.tolist() == [0, 1, 1]
    assert checked.judge_names == ("a", "b")
    assert checked.ranked.tolist() == [True, True, False]


def test_reasons_that_quote_hostile_answers_become_one_plain_line() -> None:
    reasons = ["said \ud800\x1b[31m\r\nno", "x" * 100_000, "\x00" * 100_000, "caf\u00e9 [/bold] {0}"]
    given = Rankings.of(np.zeros((4, 3), dtype=np.int64), np.array(reasons, dtype=object))
    plain = checked_rankings(given, windows(4)).failures.tolist()
    assert plain[0] == r"said \ud800\x1b[31m\r\nno"
    assert plain[3] == reasons[3]
    assert all(reason.isprintable() and len(reason) <= LONGEST_LINE for reason in plain)
    assert plain[1].startswith("xxx")
    assert plain[2].startswith(r"\x00")
