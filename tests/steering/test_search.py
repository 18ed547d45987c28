"""Choosing layer and strengths by trials: against brute force on made-up scores and perplexities."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.steering.search import Trial, Trials, search_layer, search_strengths

MULTIPLES = (0.1, 0.2, 0.4)
LAYERS = (3, 5, 8)


def trials(
    scores: dict[tuple[int, float], float],
    perplexities: dict[tuple[int, float], float],
    words: dict[int, float],
    made: list[object] | None = None,
) -> Trials:
    def steered(layers: Sequence[int], multiple: float) -> Trial:
        (layer,) = layers
        if made is not None:
            made.append((layer, multiple))
        return Trial(scores[layer, multiple], perplexities[layer, multiple])

    return Trials(steered, lambda intensity: Trial(words[intensity], 99.0), Trial(0.5, 10.0))


KEYS = [(layer, sign * multiple) for layer in LAYERS for multiple in MULTIPLES for sign in (1, -1)]
SCORES = st.fixed_dictionaries({key: st.integers(-9, 9).map(float) for key in KEYS})
PERPLEXITIES = st.fixed_dictionaries({key: st.sampled_from([8.0, 15.0, 20.0, 21.0, 60.0]) for key in KEYS})
WORDS = st.fixed_dictionaries({intensity: st.integers(-9, 9).map(float) for intensity in (-2, -1, 1, 2)})


@given(SCORES, PERPLEXITIES)
def test_the_layer_moves_the_score_most_among_fluent_ones(
    scores: dict[tuple[int, float], float], perplexities: dict[tuple[int, float], float]
) -> None:
    chosen = search_layer(trials(scores, perplexities, {}), LAYERS, (-0.4, 0.4), 2.0)
    loss = {layer: max(perplexities[layer, -0.4], perplexities[layer, 0.4]) / 10 for layer in LAYERS}
    effect = {layer: scores[layer, 0.4] - scores[layer, -0.4] for layer in LAYERS}
    fluent = [layer for layer in LAYERS if loss[layer] <= 2]
    if fluent:
        assert chosen in fluent
        assert effect[chosen] == max(effect[layer] for layer in fluent)
    else:
        assert loss[chosen] == min(loss.values())


@given(SCORES, PERPLEXITIES, WORDS)
def test_each_strength_is_the_fluent_one_nearest_to_the_words(
    scores: dict[tuple[int, float], float], perplexities: dict[tuple[int, float], float], words: dict[int, float]
) -> None:
    chosen = search_strengths(trials(scores, perplexities, words), [5], MULTIPLES, 2.0)
    assert chosen[2] == 0
    for intensity, multiple in zip((-2, -1, 1, 2), (*chosen[:2], *chosen[3:]), strict=True):
        sign = 1 if intensity > 0 else -1
        distance = {0.0: abs(0.5 - words[intensity])}
        for one in MULTIPLES:
            if perplexities[5, sign * one] <= 20:
                distance[sign * one] = abs(scores[5, sign * one] - words[intensity])
        assert distance[multiple] == min(distance.values())
        assert abs(multiple) == min(abs(one) for one in distance if distance[one] == distance[multiple])


def test_a_trial_without_a_score_is_not_chosen_and_none_is_made_twice() -> None:
    made: list[object] = []
    scores = dict.fromkeys(KEYS, 3.0) | {(5, 0.2): math.nan}
    found = trials(scores, dict.fromkeys(KEYS, 10.0), dict.fromkeys((-2, -1, 1, 2), 3.0), made)
    assert search_strengths(found, [5], MULTIPLES, 2.0) == [-0.1, -0.1, 0, 0.1, 0.1]
    assert len(made) == len(set(made)) == 6
    rows = found.table()
    assert len(rows) == 1 + 4 + 6
    assert rows[0] == {"trial": "unsteered", "score": 0.5, "perplexity": 10.0, "loss": 1.0}
    assert {row["trial"] for row in rows} == {"unsteered", "anchor", "activation"}
    assert search_layer(found, [3, 5], (0.2, 0.4), 2.0) == pytest.approx(3)
