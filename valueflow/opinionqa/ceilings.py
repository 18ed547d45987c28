"""What the most frequent option of a group allows: how right an answer can be that does not look at the group."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from valueflow.statistics import Codes, Values


def blind_accuracy(right: npt.NDArray[np.bool_], questions: Codes) -> Values:
    """Return how right the best answers are that do not depend on the group.

    For each question that is the option which is right for most of the groups that it is asked of. Their mean is the
    highest accuracy of a model that answers a question in one way whoever is asked.

    Parameters
    ----------
    right
        (n, K) whether each option is a most frequent one of the group; options beyond a question's are not.
    questions
        (n,) the question of each, as a number from 0.

    Returns
    -------
    (n,) array
        1 where that option is right for the group and 0 where it is not; where several options are right for equally
        many groups, the share of these that is right for the group. Always 1 for a question of one group.
    """
    counts = np.zeros((questions.max(initial=-1) + 1, right.shape[1]), dtype=np.int64)
    np.add.at(counts, questions, right)
    best = counts == counts.max(axis=1, keepdims=True)
    mine = best[questions]
    return np.asarray((mine & right).sum(axis=1) / mine.sum(axis=1), dtype=np.float64)


def groups_of_each(questions: Codes, attributes: Sequence[str]) -> Codes:
    """Return of how many different groups each answer's question is asked."""
    pairs = dict.fromkeys(zip(questions.tolist(), attributes, strict=True))
    counts = np.zeros(questions.max(initial=-1) + 1, dtype=np.int64)
    for question, _ in pairs:
        counts[question] += 1
    return counts[questions]
