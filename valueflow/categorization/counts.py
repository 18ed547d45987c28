"""Figures of a categorization: texts by node, agreement by level, abstentions by judge."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from valueflow.categorization.descent import NEUTRAL, Descent
from valueflow.theory import Theory
from valueflow.voting import ABSTAINED, Polling, fleiss_kappa

_ROOT_NAME = "root"


def node_counts(theory: Theory, paths: Sequence[tuple[str, ...]]) -> list[dict[str, Any]]:
    """Count, for each node of the theory, the texts whose path leads to or through it, and those that ended there."""
    through = Counter(node for path in paths for node in path)
    ended = Counter(path[-1] for path in paths)
    placed = [node for node in theory.nodes if node != theory.root or through[node]]
    return [{"name": node, "texts": through[node], "ended": ended[node]} for node in placed]


def kappas(theory: Theory, descent: Descent) -> list[dict[str, Any]]:
    """Return Fleiss' kappa of the first votes at each level, and of those on the children of each node.

    At a level the categories are all its nodes (and Neutral, where a node has one child). Texts under different nodes
    have different options there, which alone lets votes on one text agree more than on two; `nodes` is free of that.
    """
    columns = {node: column for column, node in enumerate((*theory.nodes, NEUTRAL))}
    ballots = [ballot for polled, _ in descent.polls for ballot in polled]
    counts = np.zeros((len(ballots), len(columns)), dtype=np.int64)
    said = (choices for _, votes in descent.polls for choices in votes.choices.tolist())
    for row, (ballot, choices) in enumerate(zip(ballots, said, strict=True)):
        for choice in choices:
            if choice != ABSTAINED:
                counts[row, columns[ballot.options[choice]]] += 1
    is_first = np.array([ballot.is_first for ballot in ballots], dtype=bool)
    levels = np.array([ballot.level for ballot in ballots], dtype=np.int64)
    parents = np.array([ballot.parent for ballot in ballots], dtype=object)
    result = []
    for level in np.unique(levels).tolist():
        here = is_first & (levels == level)
        by_node = {parent: here & (parents == parent) for parent in dict.fromkeys(parents[here])}
        result.append(
            {
                "name": f"level_{level}",
                "texts": int(here.sum()),
                "kappa": fleiss_kappa(counts[here]),
                "nodes": [
                    {"name": parent or _ROOT_NAME, "texts": int(own.sum()), "kappa": fleiss_kappa(counts[own])}
                    for parent, own in by_node.items()
                ],
            }
        )
    return result


def judge_counts(polling: Polling) -> list[dict[str, Any]]:
    """Count, for each judge, the batches it was asked and its abstentions by reason."""
    reasons: dict[str, dict[str, int]] = {member.name: {} for member in polling.panel.members}
    for (name, reason), count in polling.abstentions.most_common():
        reasons[name][reason] = count
    return [
        {
            "name": name,
            "batches": polling.batches[name],
            "abstentions": sum(own.values()),
            "failures": own,
        }
        for name, own in reasons.items()
    ]
