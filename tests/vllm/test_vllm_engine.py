"""The vLLM engine with vLLM itself and a real model, on the CPU."""

import importlib.util
import json
import math
import multiprocessing
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.llm.collecting import answers_and_groups, answers_of
from tests.vllm.odds import PROMPTS, WANTED, WORDS, log_odds
from valueflow.judge import permutation_constraint
from valueflow.llm import Constraint, Message, PromptTooLong, Sampling, TransformersModel, VllmModel, begins
from valueflow.llm.engines.vllm import VllmEngine
from valueflow.run import InputError

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed: make test-vllm"),
]

SMALL = {"model": "smollm2", "dtype": "float32", "enforce_eager": True, "max_model_len": 2048}
LONGEST = 2048


def question(text: str) -> tuple[Message, ...]:
    return ({"role": "system", "content": "Answer briefly."}, {"role": "user", "content": text})


@pytest.fixture(scope="module")
def engine() -> Iterator[VllmEngine]:
    started = VllmModel(**SMALL).start()
    yield started
    started.close()
    assert not [child for child in multiprocessing.active_children() if "Engine" in child.name]


QUESTIONS = [question(f"What is {n} plus {n}?" + " Think well." * (n * 7 % 40)) for n in range(40)]


def test_completions_stand_in_the_order_of_the_conversations_and_are_told_once_as_they_come(engine: VllmEngine) -> None:
    completions, groups = answers_and_groups(engine, QUESTIONS, Sampling(max_tokens=25))
    assert len(groups) > 1, "answers must be told while the batch is under way"
    for completion in completions:
        assert completion.error == ""
        assert 0 < completion.completion_tokens <= 25
        assert completion.truncated == (completion.completion_tokens == 25)


def test_texts_are_those_of_transformers_for_the_same_weights(engine: VllmEngine) -> None:
    """Two implementations of one model; a token may flip where two are equally likely to the last bits."""
    asked = QUESTIONS[:20]
    ours = [completion.text for completion in answers_of(engine, asked, Sampling(max_tokens=20))]
    peer = TransformersModel(model="smollm2", dtype="float32").start()
    try:
        others = answers_of(peer, asked, Sampling(max_tokens=20))
    finally:
        peer.close()
    same = sum(mine.strip() == other.text.strip() for mine, other in zip(ours, others, strict=True))
    assert same >= 18, [pair for pair in zip(ours, [other.text for other in others], strict=True) if len(set(pair)) > 1]


def test_prompt_tokens_are_those_of_the_chat_template(engine: VllmEngine) -> None:
    from transformers import AutoTokenizer

    from valueflow.llm import model_folder

    tokenizer = AutoTokenizer.from_pretrained(str(model_folder("smollm2")))
    counts = [completion.prompt_tokens for completion in answers_of(engine, QUESTIONS[:5], Sampling(max_tokens=1))]
    texts = [
        tokenizer.apply_chat_template(list(asked), add_generation_prompt=True, tokenize=False)
        for asked in QUESTIONS[:5]
    ]
    assert counts == [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]


@pytest.mark.parametrize("k", [3, 4, 5, 6, 7, 8])
def test_constrained_answers_are_permutations(engine: VllmEngine, k: int) -> None:
    sampling = Sampling(max_tokens=50, constraint=permutation_constraint(k))
    answers = [completion.text for completion in answers_of(engine, QUESTIONS[:12], sampling)]
    assert [sorted(json.loads(answer)) for answer in answers] == [list(range(1, k + 1))] * 12


def test_company_changes_no_answer(engine: VllmEngine) -> None:
    sampling = Sampling(max_tokens=20)
    together = answers_of(engine, QUESTIONS[:10], sampling)
    assert answers_of(engine, QUESTIONS[3:4], sampling) == together[3:4]


def test_draws_belong_to_the_seed(engine: VllmEngine) -> None:
    first, again, other = (
        [completion.text for completion in answers_of(engine, QUESTIONS[:4], Sampling(1.0, 20, seed))]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def option(letters: str, temperature: float = 0.0) -> Sampling:
    """Let only one of some letters come back."""
    grammar = "root ::= " + " | ".join(f'"{letter}"' for letter in letters)
    return Sampling(temperature, 4, 7, Constraint(letters, grammar))


def test_conversations_with_samplings_of_their_own_are_answered_as_each_sampling_alone(engine: VllmEngine) -> None:
    kinds = [option("AB"), option("ABCD"), option("ABCD", 1.0), Sampling(max_tokens=6), Sampling(1.0, 9)]
    samplings = kinds * 2
    together = answers_of(engine, QUESTIONS[:10], samplings)
    for start, sampling in enumerate(kinds):
        assert answers_of(engine, QUESTIONS[start:10:5], sampling) == together[start::5]
    for answer, sampling in zip(together, samplings, strict=True):
        if sampling.constraint is None:
            assert answer.truncated == (answer.completion_tokens == sampling.max_tokens)
        else:
            assert answer.text in list(sampling.constraint.name)
    with pytest.raises(ValueError, match="5 samplings for 4 conversations"):
        answers_of(engine, QUESTIONS[:4], kinds)


def test_each_prompt_needs_room_for_its_own_answer_only(engine: VllmEngine) -> None:
    asked = [question("word " * 1500), QUESTIONS[0], question("word " * 1500)]
    samplings = [Sampling(max_tokens=tokens) for tokens in (2, 1500, 1500)]
    with pytest.raises(PromptTooLong, match="and 1,500 for the answer") as caught:
        answers_of(engine, asked, samplings)
    assert caught.value.index == 2


def test_a_prompt_that_is_too_long_is_told_before_anything_is_generated(engine: VllmEngine) -> None:
    told: list[object] = []
    with pytest.raises(PromptTooLong, match=f"the model takes {LONGEST:,}") as caught:
        told.extend(engine.stream([QUESTIONS[0], question("word " * 3000)], Sampling(max_tokens=5)))
    assert caught.value.index == 1
    assert told == []
    # What just fits is answered.
    lengths = [answers_of(engine, [question("word " * n)], Sampling(max_tokens=1))[0].prompt_tokens for n in (10, 11)]
    a_word = next(later - earlier for earlier, later in pairwise(lengths))
    room = (LONGEST - 5 - lengths[0]) // a_word + 10
    assert answers_of(engine, [question("word " * room)], Sampling(max_tokens=5))[0].prompt_tokens <= LONGEST - 5
    with pytest.raises(PromptTooLong):
        answers_of(engine, [question("word " * (room + 1))], Sampling(max_tokens=5))


def test_an_interrupted_batch_leaves_the_engine_working(engine: VllmEngine) -> None:
    for _ in engine.stream(QUESTIONS, Sampling(max_tokens=40)):
        break
    assert len(answers_of(engine, QUESTIONS[:2], Sampling(max_tokens=3))) == 2


def test_copies_of_a_model_share_a_batch_and_answer_alike(engine: VllmEngine) -> None:
    """Runs beside the engine of the other tests, so it is counted who has come and who is left."""
    before = {child.pid for child in multiprocessing.active_children()}
    copies = VllmModel(**SMALL, data_parallel_size=2).start()
    try:
        names = sorted(child.name for child in multiprocessing.active_children() if child.pid not in before)
        assert sum("EngineCore" in name for name in names) == 2, names
        answers = answers_of(copies, QUESTIONS[:16], Sampling(max_tokens=10))
    finally:
        copies.close()
    assert {child.pid for child in multiprocessing.active_children()} == before
    assert answers == answers_of(engine, QUESTIONS[:16], Sampling(max_tokens=10))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "no/such/folder"}, "no such folder"),
        ({"engine_args": {"no_such_argument": 1}}, "no_such_argument"),
        ({"engine_args": {"trust_remote_code": True}}, "trust_remote_code"),
        ({"max_model_len": 10_000_000}, "max_model_len"),
    ],
)
def test_what_vllm_cannot_run_is_told_in_one_line(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        VllmModel(**{**SMALL, **changes}).start()
    assert "\n" not in str(caught.value)


def test_log_probabilities_are_those_of_transformers_among_the_letters(engine: VllmEngine) -> None:
    """Free answers: the model's own. Constrained ones: the model's shares of what the constraint allows."""
    letters = Constraint("letters", 'root ::= "A" | "B" | "C"')
    asked = [question(f"A. Yes B. No C. Perhaps\nIs {n} large? Answer with a letter.") for n in range(4)]
    free, held = Sampling(max_tokens=1, top_logprobs=20), Sampling(max_tokens=2, top_logprobs=20, constraint=letters)
    ours, constrained, plain = (answers_of(engine, asked, one) for one in (free, held, replace(held, top_logprobs=0)))
    peer = TransformersModel(model="smollm2", dtype="float32").start()
    try:
        others = answers_of(peer, asked, free)
    finally:
        peer.close()
    assert [one.text for one in constrained] == [one.text for one in plain]
    assert [one.logprobs for one in plain] == [None] * 4
    for mine, allowed, other in zip(ours, constrained, others, strict=True):
        assert mine.logprobs is not None
        assert allowed.logprobs is not None
        assert other.logprobs is not None
        common = mine.logprobs.keys() & other.logprobs.keys()
        assert len(common) >= 19  # the last may change places with the next
        assert [mine.logprobs[text] for text in common] == pytest.approx(
            [other.logprobs[text] for text in common], abs=0.05
        )
        assert allowed.logprobs.keys() == {"A", "B", "C"}
        assert sum(map(math.exp, allowed.logprobs.values())) == pytest.approx(1, abs=1e-3)
        known = [letter for letter in "ABC" if letter in mine.logprobs]
        shifts = [mine.logprobs[letter] - allowed.logprobs[letter] for letter in known]
        assert shifts == pytest.approx([shifts[0]] * len(shifts), abs=0.05)


def test_tokens_that_begin_words_have_the_log_probabilities_of_transformers(engine: VllmEngine) -> None:
    ours = answers_of(engine, PROMPTS, WANTED)
    assert answers_of(engine, PROMPTS, Sampling(max_tokens=1)) == [replace(one, logprobs=None) for one in ours]
    peer = TransformersModel(model="smollm2", dtype="float32").start()
    try:
        others = answers_of(peer, PROMPTS, WANTED)
    finally:
        peer.close()
    for mine, other in zip(ours, others, strict=True):
        assert mine.logprobs is not None
        assert other.logprobs is not None
        of_words = {text for text in other.logprobs if any(begins(text, word) for word in WORDS)}
        # Beside them, vLLM gives the token that was chosen.
        assert mine.logprobs.keys() == of_words | {mine.text}
        assert [mine.logprobs[text] for text in of_words] == pytest.approx(
            [other.logprobs[text] for text in of_words], abs=0.05
        )
    odds, peer_odds = ([log_odds(one.logprobs) for one in answers] for answers in (ours, others))
    print("largest difference of log-odds", max(abs(a - b) for a, b in zip(odds, peer_odds, strict=True)))
    assert odds == pytest.approx(peer_odds, abs=0.05)


def test_words_of_more_tokens_than_vllm_tells_at_once_are_all_told(engine: VllmEngine) -> None:
    words = (
        *"abcdefghijklmnopqrstuvwxyz",
        "support",
        "oppose",
        "neutral",
        "benevolence",
        "power",
        "tradition",
        "security",
    )
    many = replace(WANTED, words=words)
    peer = TransformersModel(model="smollm2", dtype="float32").start()
    try:
        others = answers_of(peer, PROMPTS[:3], replace(many, top_logprobs=0))
    finally:
        peer.close()
    for mine, other in zip(answers_of(engine, PROMPTS[:3], many), others, strict=True):
        assert len(other.logprobs or {}) > 128
        assert (mine.logprobs or {}).keys() - {mine.text} == (other.logprobs or {}).keys() - {mine.text}


def test_requests_with_words_take_nothing_from_those_that_want_the_likeliest_tokens(engine: VllmEngine) -> None:
    likeliest = Sampling(max_tokens=1, top_logprobs=20)
    mixed = answers_of(engine, PROMPTS[:8], [WANTED, likeliest] * 4)
    assert mixed[1::2] == answers_of(engine, PROMPTS[1:8:2], likeliest)
    assert all(len(one.logprobs or {}) >= 19 for one in mixed[1::2])
    constrained = replace(WANTED, constraint=Constraint("yes_no", 'root ::= "yes" | "no"'))
    for answer in answers_of(engine, PROMPTS[:3], constrained):
        assert sum(map(math.exp, (answer.logprobs or {}).values())) == pytest.approx(1, abs=1e-3)
