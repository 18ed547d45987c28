"""Answers of one token: log-probabilities against a plain pass over each prompt alone, with and without a common
beginning that is computed once."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
)

from tests.examples import examples
from tests.llm.collecting import answers_and_groups, answers_of
from tests.llm.test_transformers_engine import byte_tokenizer, greedy, needs_smollm2, option, tiny, user
from valueflow.llm import Completion, Conversation, Sampling, TransformersModel, model_folder
from valueflow.llm.engines.prefix import SHORTEST_BEGINNING, WORTH_SPLITTING, common_beginnings
from valueflow.llm.engines.transformers import TransformersEngine
from valueflow.run import InputError

__all__ = ["tiny"]

WORDS = ("support", "oppose", "neutral")
WANTED = Sampling(max_tokens=1, top_logprobs=5, words=WORDS)
WORDING = "Does the speaker of the text below support or oppose helping others? "


# What prompts have in common

TOKENS = st.lists(st.integers(0, 2), max_size=6)


def saved(prompts: Sequence[Sequence[int]], parts: Sequence[tuple[int, list[int]]]) -> int:
    return sum((len(indices) - 1) * length for length, indices in parts)


@settings(max_examples=examples(200))
@given(
    st.lists(st.integers(16, 40), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), TOKENS), min_size=1, max_size=12),
)
def test_prompts_that_are_divided_share_what_they_begin_with(
    lengths: list[int], ends: list[tuple[int, list[int]]]
) -> None:
    starts = [[7, 7, 7, *([10 + place] * length)] for place, length in enumerate(lengths)]
    prompts = [[*starts[which % len(starts)], *end, 9] for which, end in ends]
    parts = common_beginnings(prompts)
    assert sorted(index for _, indices in parts for index in indices) == [*range(len(prompts))]
    for length, indices in parts:
        assert length == 0 or length >= SHORTEST_BEGINNING
        assert length < min(len(prompts[index]) for index in indices)
        assert all(prompts[index][:length] == prompts[indices[0]][:length] for index in indices)
    # At least as much is saved as with what all have in common, and with one beginning a wording.
    alike = max(n for n in range(min(map(len, prompts))) if all(one[:n] == prompts[0][:n] for one in prompts))
    whole = (len(prompts) - 1) * alike if alike >= SHORTEST_BEGINNING else 0
    assert saved(prompts, parts) >= whole
    wordings = [
        [i for i, (which, _) in enumerate(ends) if which % len(starts) == place] for place in range(len(starts))
    ]
    by_wording = sum((len(found) - 1) * len(start) for found, start in zip(wordings, starts, strict=True) if found)
    assert WORTH_SPLITTING * saved(prompts, parts) >= by_wording


def test_several_wordings_in_one_batch_are_each_computed_once_and_texts_that_begin_alike_do_not_count() -> None:
    texts = [[20 + place % 4, 30 + place] for place in range(24)]
    wordings = [[1] * 5 + [2] * 60, [1] * 5 + [3] * 50]
    prompts = [wording + text for text in texts for wording in wordings]
    parts = [(length, sorted(indices)) for length, indices in common_beginnings(prompts)]
    assert sorted(parts) == [(55, [*range(1, 48, 2)]), (65, [*range(0, 48, 2)])]


def test_little_is_not_shared_and_never_a_whole_prompt() -> None:
    assert common_beginnings([]) == []
    assert common_beginnings([[1] * 30]) == [(0, [0])]
    assert common_beginnings([[1] * 15 + [2], [1] * 15 + [3]]) == [(0, [0, 1])]
    assert common_beginnings([[1] * 17] * 3) == [(16, [0, 1, 2])]
    assert common_beginnings([[1] * 30, [1] * 20]) == [(19, [1, 0])]


# Against a plain pass over each prompt


def exact(folder: Path, asked: Sequence[Conversation], most: int) -> list[dict[str, float]]:
    """One forward pass for each whole prompt, all tokens of the vocabulary looked at: the independent truth."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    texts = [tokenizer.decode([token]) for token in range(len(tokenizer))]
    stripped = [text.strip().lower() for text in texts]
    asked_for = [bool(text) and any(word.lower().startswith(text) for word in WORDS) for text in stripped]
    found = []
    for conversation in asked:
        prompt = tokenizer.apply_chat_template(
            list(conversation), add_generation_prompt=True, tokenize=True, return_dict=True
        )["input_ids"]
        with torch.inference_mode():
            logprobs = model(torch.tensor([prompt])).logits[0, -1].double().log_softmax(dim=-1)
        top = set(logprobs.topk(most).indices.tolist())
        shares: dict[str, float] = {}
        for token, text in enumerate(texts):
            if asked_for[token] or token in top:
                shares[text] = shares.get(text, 0) + math.exp(logprobs[token])
        found.append({text: math.log(share) for text, share in shares.items()})
    return found


def log_odds(logprobs: Any, word: str = "support", other: str = "oppose") -> float:
    def share(asked: str) -> float:
        return sum(math.exp(one) for text, one in logprobs.items() if text.strip() and asked.startswith(text.strip()))

    return math.log(share(word) / share(other))


def agree(answers: Sequence[Completion], truth: Sequence[dict[str, float]], tolerance: float) -> None:
    for answer, expected in zip(answers, truth, strict=True):
        assert answer.logprobs is not None
        # Which token is the last of the likeliest may turn on the last bits.
        assert len(answer.logprobs.keys() ^ expected.keys()) <= 2
        common = answer.logprobs.keys() & expected.keys()
        assert {text: answer.logprobs[text] for text in common} == pytest.approx(
            {text: expected[text] for text in common}, abs=tolerance
        )
        assert log_odds(answer.logprobs) == pytest.approx(log_odds(expected), abs=tolerance)


def texts(lengths: Sequence[int]) -> list[Conversation]:
    draw = random.Random(3)
    return [user(WORDING + "".join(draw.choices("abc def ghi 0123 {}?", k=length))) for length in lengths]


EQUAL, DIFFERENT = [40] * 16, [0, 1, 2, 150, 3, 90, 40, 12, 150, 151, 7, 33, 80, 1, 149, 64]


def engine_of(folder: Path, **changes: Any) -> TransformersEngine:
    return TransformersModel(model=str(folder), device="cpu", **changes).start()


@pytest.mark.parametrize("lengths", [EQUAL, DIFFERENT], ids=["equal", "different"])
def test_neither_padding_nor_company_nor_a_shared_beginning_changes_log_probabilities(
    tiny: Path, lengths: list[int]
) -> None:
    asked = texts(lengths)
    truth = exact(tiny, asked, 5)
    for shared in (True, False):
        for batch_size in (1, 5, 16):
            engine = engine_of(tiny, batch_size=batch_size, enable_prefix_caching=shared)
            agree(answers_of(engine, asked, WANTED), truth, 1e-4)
            agree(answers_of(engine, asked[::-1], WANTED), truth[::-1], 1e-4)
    agree(answers_of(engine_of(tiny), asked[3:4], WANTED), truth[3:4], 1e-4)


@pytest.mark.slow
@needs_smollm2
def test_log_probabilities_of_a_real_model_are_those_of_a_plain_pass(smollm2: Callable[[int], Any]) -> None:
    folder = model_folder("smollm2")
    assert folder is not None
    ends = ["I help.", "Never. " * 20, "", "My neighbors come first; what I have is theirs, and I say so.", "Hm. " * 40]
    asked = [user(f"{WORDING}Answer with one word, support or oppose. The text: {text}\nThe word:") for text in ends]
    truth = exact(folder, asked, 5)
    for batch_size in (1, 16):
        answers = answers_of(smollm2(batch_size), asked, WANTED)
        agree(answers, truth, 1e-3)
        assert all({" support", "Support", " oppose"} <= (answer.logprobs or {}).keys() for answer in answers)


@pytest.mark.parametrize("batch_size", [1, 5])
@pytest.mark.parametrize(
    "sampling", [Sampling(max_tokens=1), Sampling(max_tokens=4), Sampling(0.8, 4), option("AB"), option("AB", 1.0, 1)]
)
def test_words_change_no_answer_and_are_given_whatever_holds_it(
    tiny: Path, sampling: Sampling, batch_size: int
) -> None:
    asked = texts([0, 30, 5, 100, 60, 31])
    engine = engine_of(tiny, batch_size=batch_size)
    plain = answers_of(engine, asked, sampling)
    answers = answers_of(engine, asked, replace(sampling, words=WORDS, top_logprobs=5))
    assert [replace(answer, logprobs=None) for answer in answers] == plain
    agree(answers, exact(tiny, asked, 5), 1e-4)
    # Without any of the likeliest, the words' tokens alone.
    alone = answers_of(engine, asked, replace(sampling, words=WORDS))
    assert [(answer.logprobs or {}).keys() for answer in alone] == [set("sSoOnN")] * 6


def test_the_answer_is_the_likeliest_token(tiny: Path) -> None:
    asked = texts(DIFFERENT)
    assert answers_of(engine_of(tiny), asked, Sampling(max_tokens=1)) == [greedy(tiny, one, 1) for one in asked]


def test_what_a_model_thinks_first_has_no_log_probabilities_of_words(tiny: Path) -> None:
    answers = answers_of(engine_of(tiny, answer_after="e"), texts([3, 4]), WANTED)
    assert [answer.logprobs for answer in answers] == [None] * 2


# What is computed


def watched(folder: Path, model: PreTrainedModel, **changes: Any) -> tuple[TransformersEngine, list[tuple[int, int]]]:
    """An engine whose passes are noted: rows and tokens of each."""
    passes: list[tuple[int, int]] = []
    model.register_forward_pre_hook(
        lambda _module, _given, named: passes.append(tuple(named["input_ids"].shape)), with_kwargs=True
    )
    settings = TransformersModel(model=str(folder), device="cpu", **changes)
    return TransformersEngine(settings, AutoTokenizer.from_pretrained(folder), model), passes


def test_a_common_beginning_is_computed_once_for_all_batches(tiny: Path) -> None:
    asked = texts([5, 6, 7, 8, 9, 10, 11])
    # `<user>` before the wording; the end of the turn and `<assistant>` after the text.
    beginning, rest = len("<user>") + len(WORDING), len("<assistant>") + 1
    engine, passes = watched(tiny, AutoModelForCausalLM.from_pretrained(tiny), batch_size=3)
    answers, groups = answers_and_groups(engine, asked, WANTED)
    assert [len(arrivals) for arrivals in groups] == [3, 3, 1]
    assert passes[0][0] == 1
    assert beginning <= passes[0][1] <= beginning + 2
    assert [rows for rows, _ in passes[1:]] == [3, 3, 1]
    assert [passes[0][1] + tokens for _, tokens in passes[1:]] == [beginning + n + rest for n in (11, 8, 5)]
    passes.clear()
    # Sampled and constrained answers share nothing, in batches of their own.
    other = [Sampling(1.0, 1), option("AB", max_tokens=1), replace(WANTED, max_tokens=2)]
    mixed = answers_of(engine, asked + asked[:3], [WANTED] * 7 + other)
    assert mixed[:7] == answers
    assert sum(rows for rows, tokens in passes if 1 < tokens <= 40) == 7


def test_where_it_is_turned_off_or_too_short_nothing_is_shared(tiny: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    off, passes = watched(tiny, model, enable_prefix_caching=False)
    answers_of(off, texts([5, 6]), WANTED)
    assert [rows for rows, _ in passes] == [2]
    on, passes = watched(tiny, model)
    answers_of(on, [user("a"), user("b")], WANTED)
    answers_of(on, texts([30]), WANTED)
    # Not even of equal prompts is everything shared.
    answers_of(on, texts([30]) * 2, WANTED)
    assert [rows for rows, _ in passes] == [2, 1, 1, 2]
    assert passes[-1][1] == 1


def sliding() -> PreTrainedModel:
    return MistralForCausalLM(MistralConfig(**SMALL, num_attention_heads=4, num_key_value_heads=2, sliding_window=8))


def hybrid() -> PreTrainedModel:
    return Gemma3ForCausalLM(
        Gemma3TextConfig(
            **SMALL,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            sliding_window=8,
            layer_types=["sliding_attention", "full_attention"],
        )
    )


def recurrent() -> PreTrainedModel:
    return MambaForCausalLM(
        MambaConfig(**{key: SMALL[key] for key in ("vocab_size", "hidden_size", "num_hidden_layers")})
    )


def rescaled() -> PreTrainedModel:
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10_000.0}
    return LlamaForCausalLM(LlamaConfig(**SMALL, num_attention_heads=4, rope_parameters=rope))


SMALL: dict[str, Any] = {
    "vocab_size": 257,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "max_position_embeddings": 300,
    "initializer_range": 0.4,
}


@pytest.mark.parametrize("make", [sliding, hybrid, recurrent, rescaled])
def test_models_that_do_not_keep_all_keys_share_nothing(
    make: Callable[[], PreTrainedModel], tiny: Path, tmp_path: Path
) -> None:
    torch.manual_seed(4)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(tmp_path)
    make().save_pretrained(tmp_path)
    asked = texts([40, 41, 80, 42])
    engine, passes = watched(tmp_path, AutoModelForCausalLM.from_pretrained(tmp_path))
    # Equal lengths: what these models make of padding is theirs.
    same = texts([40] * 4)
    agree(answers_of(engine, same, WANTED), exact(tmp_path, same, 5), 1e-3)
    assert passes == [(4, len("<user>") + len(WORDING) + 40 + len("<assistant>") + 1)]
    assert len(answers_of(engine, asked, WANTED)) == 4


def test_batches_of_one_token_shrink_where_memory_does_not_suffice(tiny: Path) -> None:
    asked = texts([60, 50, 40, 45, 55, 61, 44])
    expected = answers_of(engine_of(tiny), asked, WANTED)
    model = AutoModelForCausalLM.from_pretrained(tiny)
    most = 3

    def run_out(_: object, given: object, named: dict[str, torch.Tensor]) -> None:
        if len(named["input_ids"]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")

    engine, _ = watched(tiny, model, batch_size=8)
    model.register_forward_pre_hook(run_out, with_kwargs=True)
    answers, groups = answers_and_groups(engine, asked, WANTED)
    assert [[index for index, _ in arrivals] for arrivals in groups] == [[5, 0, 4], [1, 3, 6], [2]]
    assert [answer.text for answer in answers] == [answer.text for answer in expected]
    agree(answers, [dict(answer.logprobs or {}) for answer in expected], 1e-4)
    most = 0
    with pytest.raises(InputError, match="does not take one conversation of"):
        answers_of(engine, asked, WANTED)


def test_a_model_with_more_scores_than_tokens_is_read(tmp_path: Path) -> None:
    """Vocabularies are often filled up to a round number."""
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = "{% for turn in messages %}{{ turn['content'] }}{% endfor %}"
    tokenizer.save_pretrained(tmp_path)
    torch.manual_seed(5)
    LlamaForCausalLM(LlamaConfig(**(SMALL | {"vocab_size": 320}), num_attention_heads=4)).save_pretrained(tmp_path)
    (answer,) = answers_of(engine_of(tmp_path), [user("abc")], Sampling(max_tokens=1, top_logprobs=20, words=WORDS))
    assert set("sSoOnN") <= (answer.logprobs or {}).keys()
