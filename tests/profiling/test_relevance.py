"""Which values a text bears on."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.judge.test_logprob_judge import Program
from valueflow.encoder import load_encoder
from valueflow.llm import Completion, Conversation
from valueflow.profiling import EncoderRelevance, LogprobRelevance
from valueflow.profiling.relevance import related
from valueflow.theory import load_theory

PVQ = load_theory("pvq")


@given(
    arrays(np.float64, (4, 5), elements=st.sampled_from([0.0, 0.1, 0.2, 0.3, np.nan])),
    st.sampled_from([None, 1, 3, 9]),
    st.sampled_from([None, 0.2]),
)
def test_the_nearest_that_reach_the_threshold(relevance: np.ndarray, n: int | None, threshold: float | None) -> None:
    chosen = related(relevance, n, threshold)
    for row, own in zip(relevance, chosen, strict=True):
        fitting = [place for place in range(5) if row[place] >= (-math.inf if threshold is None else threshold)]
        expected = sorted(fitting, key=lambda place: (-row[place], place))[:n]
        assert np.flatnonzero(own).tolist() == sorted(expected)


def test_an_encoder_says_how_near_a_definition_is() -> None:
    texts = ["I climb mountains for the thrill of it.", "I want to be in charge and give orders.", "The sky is gray."]
    done: list[int] = []
    relevance = EncoderRelevance(encoder="minilm", n=3, threshold=0.15)
    found = relevance.of(texts, PVQ, lambda done_now, *_: done.append(done_now))
    assert PVQ.values[found[0].argmax()] == "stimulation"
    assert PVQ.values[found[1].argmax()] == "power"
    node = PVQ.nodes["power"]
    one, other = load_encoder("minilm").encode([texts[1], f"{node.label}: {node.definition}"])
    assert found[1, PVQ.values.index("power")] == pytest.approx(float(one @ other), abs=1e-6)
    assert sum(done) == 3
    assert relevance.cost(texts, PVQ) is None


def test_a_chat_model_says_whether_it_takes_a_stance() -> None:
    def answer(conversation: Conversation) -> Completion:
        prompt = conversation[-1]["content"]
        is_about = '"security"' in prompt and "locks" in prompt
        shares = {"support": 0.6, "oppose": 0.2, "neutral": 0.2} if is_about else {"support": 0.05, "neutral": 0.95}
        return Completion("", logprobs={word: math.log(share) for word, share in shares.items()})

    asking = LogprobRelevance(
        llm=Program(answer), wordings=["stance"], cache="off", max_text_bytes=500, n=2, threshold=0.5
    )
    texts = ["Good locks make good neighbors.", "The sky is gray."]
    found = asking.of(texts, PVQ, lambda *_: None)
    place = PVQ.values.index("security")
    assert found[0, place] == pytest.approx(0.8)
    assert np.flatnonzero(related(found, asking.n, asking.threshold).any(axis=0)).tolist() == [place]
    cost = asking.cost(texts, PVQ)
    assert cost is not None
    assert cost.calls == 2 * len(PVQ.values)
