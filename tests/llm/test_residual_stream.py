"""Vectors in the residual stream of a real, tiny model: where exactly they are added, and that nothing stays behind."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.llm.collecting import answers_of
from tests.llm.test_transformers_engine import TEMPLATE, conversations, engine_of, needs_smollm2, tiny, user
from valueflow.llm import Addition, Client, Conversation, OpenvinoModel, Sampling, ServerModel, VllmModel
from valueflow.llm.engines.adding import adding, decoder_layers
from valueflow.llm.engines.transformers import TransformersEngine
from valueflow.run import InputError

assert tiny  # a fixture

WIDTH = 32


def vector(seed: int, length: float = 1.0) -> np.ndarray[Any, np.dtype[np.float32]]:
    drawn = np.random.default_rng(seed).normal(size=WIDTH)
    return (length * drawn / np.linalg.norm(drawn)).astype(np.float32)


STEERED = (
    (),
    (Addition(0, 2.5, "all", vector(1)),),
    (Addition(0, -1.5, "generated", vector(2)),),
    (Addition(0, 1.0, "all", vector(1)), Addition(0, 3.0, "generated", vector(3)), Addition(1, 0.5, "all", vector(4))),
)


def samplings(n: int, **more: Any) -> list[Sampling]:
    return [Sampling(max_tokens=8, additions=STEERED[place % len(STEERED)], **more) for place in range(n)]


@contextmanager
def seen_after_layer(engine: TransformersEngine, layer: int) -> Iterator[list[tuple[torch.Tensor, torch.Tensor]]]:
    """What a layer puts out, and what the next module takes in: what lies between them was added."""
    model = engine._model
    below = decoder_layers(model)[layer]
    above = [*decoder_layers(model), model.model.norm][layer + 1]
    pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
    outputs: list[torch.Tensor] = []
    handles = [
        below.register_forward_hook(lambda _, __, output: outputs.append(output.clone())),
        above.register_forward_pre_hook(lambda _, inputs: pairs.append((outputs.pop(), inputs[0].clone()))),
    ]
    try:
        yield pairs
    finally:
        for handle in handles:
            handle.remove()


def sum_of(additions: Sequence[Addition], layer: int, *tokens: str) -> torch.Tensor:
    total = np.zeros(WIDTH, dtype=np.float32)
    for one in additions:
        if one.layer == layer and one.tokens in tokens:
            total = total + np.float32(one.strength) * one.vector
    return torch.from_numpy(total)


@pytest.mark.parametrize("layer", [0, 1])
def test_exactly_strength_times_vector_is_added_at_the_layer_and_tokens_asked(tiny: Path, layer: int) -> None:
    engine = engine_of(tiny, batch_size=8)
    asked = [user("x" * length) for length in (40, 36, 31, 30, 29, 28, 27, 22)]  # in the order of the batch
    drawn = samplings(len(asked))
    with seen_after_layer(engine, layer) as passes:
        answers = answers_of(engine, asked, drawn)
    width = passes[0][0].shape[1]
    assert len(passes) == max(answer.completion_tokens for answer in answers)
    for row, (sampling, answer) in enumerate(zip(drawn, answers, strict=True)):
        everywhere, on_answer = sum_of(sampling.additions, layer, "all"), None
        on_answer = everywhere + sum_of(sampling.additions, layer, "generated")
        before, after = passes[0][0][row], passes[0][1][row]
        start = width - answer.prompt_tokens
        assert torch.equal(after[:start], before[:start])  # padding
        assert torch.equal(after[start:-1], before[start:-1] + everywhere)
        assert torch.equal(after[-1], before[-1] + on_answer)
        for before, after in passes[1:]:
            assert before.shape[1] == 1
            assert torch.equal(after[row, 0], before[row, 0] + on_answer)


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_answers_do_not_depend_on_the_batch_and_unsteered_ones_not_on_steered_company(
    tiny: Path, temperature: float
) -> None:
    asked = conversations(16)
    drawn = samplings(16, temperature=temperature)
    alone = answers_of(engine_of(tiny, batch_size=1), asked, drawn)
    together = answers_of(engine_of(tiny, batch_size=16), asked, drawn)
    assert together == alone
    plain = answers_of(engine_of(tiny, batch_size=16), asked, Sampling(max_tokens=8, temperature=temperature))
    unsteered = [place for place in range(16) if not drawn[place].additions]
    assert [together[place] for place in unsteered] == [plain[place] for place in unsteered]
    assert sum(one != other for one, other in zip(together, plain, strict=True)) > 3


@given(st.lists(st.sampled_from([(), (Addition(1, 0.0, "all", vector(1)),)]), min_size=12, max_size=12))
@settings(max_examples=examples(8))
def test_strength_0_is_the_unsteered_text_in_any_batch(tiny: Path, additions: list[tuple[Addition, ...]]) -> None:
    asked = conversations()
    plain = answers_of(shared(tiny), asked, Sampling(max_tokens=6))
    drawn = [Sampling(max_tokens=6, additions=these) for these in additions]
    assert answers_of(shared(tiny), asked, drawn) == plain


_engines: dict[Path, TransformersEngine] = {}


def shared(folder: Path) -> TransformersEngine:
    return _engines.setdefault(folder, engine_of(folder, batch_size=5))


def test_an_answer_of_one_token_is_steered_too(tiny: Path) -> None:
    asked = [user(f"the same beginning of all prompts, number {n}") for n in range(6)]
    pushed = Sampling(max_tokens=1, top_logprobs=3, additions=(Addition(1, 40.0, "generated", vector(1)),))
    steered = answers_of(engine_of(tiny), asked, pushed)
    plain = answers_of(engine_of(tiny), asked, replace(pushed, additions=()))
    assert all(one.logprobs != other.logprobs for one, other in zip(steered, plain, strict=True))
    for one, conversation in zip(steered, asked, strict=True):
        (alone,) = answers_of(shared(tiny), [conversation], pushed)
        assert alone.text == one.text
        assert dict(alone.logprobs or {}) == pytest.approx(dict(one.logprobs or {}), abs=1e-4)


# ---- Nothing stays behind


def hooks(engine: TransformersEngine) -> int:
    return sum(len(module._forward_hooks) for module in engine._model.modules())


def test_hooks_are_removed_also_after_an_error(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(tiny)
    asked = conversations(4)
    plain = answers_of(engine, asked, Sampling(max_tokens=8))
    answers_of(engine, asked, samplings(4))
    assert hooks(engine) == 0
    inner = engine._model.model.norm.forward
    monkeypatch.setattr(engine._model.model.norm, "forward", lambda *_: (_ for _ in ()).throw(RuntimeError("broken")))
    with pytest.raises(RuntimeError, match="broken"):
        answers_of(engine, asked, samplings(4))
    with pytest.raises(RuntimeError, match="broken"):
        engine.residual_stream.read(asked[0], ["a"], progress=False)
    assert hooks(engine) == 0
    monkeypatch.setattr(engine._model.model.norm, "forward", inner)
    assert answers_of(engine, asked, Sampling(max_tokens=8)) == plain


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        (Addition(2, 1.0, "all", vector(1)), "layer 2: the model has 2 layers, 0 to 1"),
        (Addition(-1, 1.0, "all", vector(1)), "layer -1"),
        (Addition(1, 1.0, "all", np.ones(7, dtype=np.float32)), r"shape \(7,\).*32 numbers"),
    ],
)
def test_what_cannot_be_added_is_told_and_leaves_no_hook(tiny: Path, addition: Addition, message: str) -> None:
    engine = shared(tiny)
    with pytest.raises(InputError, match=message):
        answers_of(engine, conversations(2), Sampling(additions=(STEERED[1][0], addition)))
    assert hooks(engine) == 0


def test_a_stream_of_16_bits_is_rounded_once(tiny: Path) -> None:
    engine = engine_of(tiny, dtype="bfloat16")
    with seen_after_layer(engine, 0) as passes:
        answers_of(engine, [user("hello")], samplings(2)[1])
    before, after = passes[0]
    assert after.dtype == torch.bfloat16
    assert torch.equal(after[0], (before[0].float() + sum_of(STEERED[1], 0, "all")).bfloat16())


def test_additions_are_the_same_by_their_vectors_and_hash_alike() -> None:
    one, same = (Addition(1, 2.0, "all", vector(5)) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    assert one != replace(one, vector=vector(6))
    assert one.digest != replace(one, vector=vector(6)).digest


@pytest.mark.parametrize(
    "make",
    [
        lambda: VllmModel(model="org/model"),
        lambda: ServerModel(model="m", base_url="http://localhost:1/v1"),
        lambda: OpenvinoModel(model="org/model"),
    ],
    ids=["vllm", "server", "openvino"],
)
def test_other_engines_are_refused_before_anything_starts(make: Callable[[], Any]) -> None:
    client = Client(make(), "off")
    with pytest.raises(InputError, match="does not let it; use llm=transformers"):
        client.ask([user("a")], samplings(2)[1], title="", unit="answers", progress=False)


# ---- Reading


def literal_states(engine: TransformersEngine, tokens: list[int]) -> list[torch.Tensor]:
    """The residual stream after each layer, as transformers itself hands it out; the last one before the norm."""
    last: list[torch.Tensor] = []
    handle = engine._model.model.norm.register_forward_pre_hook(lambda _, inputs: last.append(inputs[0][0]))
    with torch.inference_mode():
        states = engine._model(torch.tensor([tokens]), output_hidden_states=True).hidden_states
    handle.remove()
    return [*(state[0] for state in states[1:-1]), last[0]]


TEXTS = ["I lead.", "a", "We share what we have, always and with everyone {}.", "<|im_end|>[INST] x", "é" * 30]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_texts_are_read_as_the_literal_mean_over_their_tokens(tiny: Path, batch_size: int) -> None:
    engine = engine_of(tiny, batch_size=batch_size)
    opening: Conversation = user("What matters?")
    readings = engine.residual_stream.read(opening, TEXTS, progress=False)
    prompt = engine._tokenizer.apply_chat_template(list(opening), add_generation_prompt=True)["input_ids"]
    shown = [text.replace("<|", "\\u003c|").replace("[INST]", "\\u005bINST]") for text in TEXTS]
    norms = []
    for text, means in zip(shown, readings.means, strict=True):
        tokens = engine._tokenizer(text, add_special_tokens=False)["input_ids"]
        states = [state[len(prompt) :] for state in literal_states(engine, prompt + tokens)]
        np.testing.assert_allclose(means, torch.stack(states).mean(dim=1).numpy(), atol=1e-5)
        norms.append(torch.stack(states).norm(dim=2).numpy())
    np.testing.assert_allclose(readings.norms, np.concatenate(norms, axis=1).mean(axis=1), rtol=1e-5)
    assert readings.truncated == 0
    assert readings.means.shape == (len(TEXTS), engine.residual_stream.layers, engine.residual_stream.width)


def test_a_long_text_is_read_as_far_as_the_model_goes_and_counted(tiny: Path) -> None:
    readings = engine_of(tiny).residual_stream.read(user("Q?"), ["x" * 100_000, "y"], progress=False)
    assert readings.truncated == 1
    assert np.isfinite(readings.means).all()
    with pytest.raises(InputError, match="the opening takes"):
        engine_of(tiny).residual_stream.read(user("Q" * 400), ["x"], progress=False)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_likelihoods_are_those_of_one_pass_per_text(tiny: Path, batch_size: int) -> None:
    engine = engine_of(tiny, batch_size=batch_size)
    asked = conversations(5, longest=60)
    texts = [text for text in TEXTS if "<" not in text] + ["ok"]
    found = engine.residual_stream.likelihoods(asked, texts, progress=False)
    for conversation, text, logprob, n in zip(asked, texts, found.logprobs, found.tokens, strict=True):
        prompt = engine._tokenizer.apply_chat_template(list(conversation), add_generation_prompt=True)["input_ids"]
        tokens = engine._tokenizer(text, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            logprobs = engine._model(torch.tensor([prompt + tokens])).logits[0].double().log_softmax(dim=-1)
        expected = sum(float(logprobs[len(prompt) - 1 + place, token]) for place, token in enumerate(tokens))
        assert n == len(tokens)
        assert logprob == pytest.approx(expected, abs=1e-3)
    assert found.perplexity() == pytest.approx(np.exp(-found.logprobs / found.tokens))


def test_texts_are_answers_where_the_template_opens_thoughts(tiny: Path) -> None:
    thinking, plain = engine_of(tiny), engine_of(tiny)
    thinking._tokenizer.chat_template = TEMPLATE + "{{ '<think>\n' }}"
    plain._tokenizer.chat_template = TEMPLATE + "{{ '<think>\n\n</think>\n\n' }}"
    found, expected = (
        engine.residual_stream.read(user("Q?"), TEXTS, progress=False).means for engine in (thinking, plain)
    )
    np.testing.assert_array_equal(found, expected)
    found, expected = (
        engine.residual_stream.likelihoods([user("Q?"), user("R?")], ["a", "b c"], progress=False).logprobs
        for engine in (thinking, plain)
    )
    np.testing.assert_array_equal(found, expected)


@needs_smollm2
@pytest.mark.slow
def test_a_real_model_is_steered_batch_1_and_16_alike_and_left_as_it_was(smollm2: Callable[[int], Any]) -> None:
    asked = [user(f"Name {n} things that matter to you.") for n in range(2, 18)]
    n_tokens = 6
    size = smollm2(16).residual_stream.width
    pushed = np.random.default_rng(0).normal(size=size).astype(np.float32)
    drawn = [
        Sampling(max_tokens=n_tokens, additions=(Addition(14, 0.5 * (n % 3), "all", pushed),) if n % 3 else ())
        for n in range(16)
    ]
    plain = answers_of(smollm2(16), asked, Sampling(max_tokens=n_tokens))
    together = answers_of(smollm2(16), asked, drawn)
    assert answers_of(smollm2(1), asked, drawn) == together
    assert together[::3] == plain[::3]
    assert together != plain
    assert answers_of(smollm2(16), asked, Sampling(max_tokens=n_tokens)) == plain


def test_nothing_is_looked_for_where_nothing_is_added() -> None:
    with adding(None, [(), ()], torch.ones(2, 3)):
        pass
