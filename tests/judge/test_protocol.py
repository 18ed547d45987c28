"""What is checked of any judge's answers."""

import numpy as np

from valueflow.judge import Rankings, Windows, checked_rankings
from valueflow.vidb import Anchors


def test_orders_that_are_no_permutation_become_counted_failures() -> None:
    pool = Anchors("t", "v", np.array(["a", "b"], dtype=object), np.array([-1.0, 1.0]))
    windows = Windows(
        responses=np.zeros(4, dtype=np.int64),
        anchors=np.zeros((4, 2), dtype=np.int64),
        prompt_order=np.tile([1, 2, 3], (4, 1)),
        response_texts=np.array(["r"], dtype=object),
        anchor_set=pool,
    )
    orders = np.array([[3, 1, 2], [1, 1, 2], [2, 3, 4], [9, 9, 9]])
    checked = checked_rankings(Rankings(orders, np.array(["", "", "", "timed out"], dtype=object)), windows)
    assert checked.failures.tolist() == ["", "no permutation of the items", "no permutation of the items", "timed out"]
    assert checked.orders.tolist() == [[3, 1, 2], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert checked.ranked.tolist() == [True, False, False, False]
