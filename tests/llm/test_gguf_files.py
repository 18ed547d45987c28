"""GGUF files named as models: what is unpacked is the model that was written, and a bad file is one line."""

import logging
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, Qwen2ForCausalLM

from tests.llm.collecting import answers_of
from tests.llm.tiny_gguf import tiny_qwen2, write_gguf
from valueflow.llm import Sampling, TransformersModel
from valueflow.llm.engines.weights import find_model
from valueflow.run import InputError

KINDS = gguf.GGMLQuantizationType


@pytest.fixture(scope="module")
def model() -> Qwen2ForCausalLM:
    return tiny_qwen2()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


def left(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir() if path.suffix != ".lock"} if cache.exists() else set()


def test_the_unpacked_model_computes_what_the_original_does(tmp_path: Path, model: Qwen2ForCausalLM) -> None:
    folder = find_model(str(write_gguf(tmp_path / "tiny.gguf", model)))
    unpacked = AutoModelForCausalLM.from_pretrained(folder)
    assert unpacked.dtype == torch.float32
    tokens = torch.randint(0, 256, (3, 50), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(unpacked(tokens).logits, model(tokens).logits, atol=1e-5, rtol=1e-5)


def test_quantized_weights_become_bfloat16_of_what_their_blocks_say(tmp_path: Path, model: Qwen2ForCausalLM) -> None:
    folder = find_model(str(write_gguf(tmp_path / "tiny.gguf", model, KINDS.Q8_0)))
    unpacked = AutoModelForCausalLM.from_pretrained(folder)
    assert unpacked.dtype == torch.bfloat16
    before, after = dict(model.named_parameters()), dict(unpacked.named_parameters())
    assert before.keys() == after.keys()
    for name, weight in before.items():
        original = weight.detach().numpy()
        difference = np.abs(after[name].detach().float().numpy() - original)
        # bfloat16 keeps 8 bits; Q8_0 keeps 32 weights as whole multiples of a 127th of their largest one.
        allowed = np.abs(original) * 2.0**-8
        if original.ndim > 1:
            blocks = np.abs(original).reshape(-1, 32).max(axis=1, keepdims=True)
            allowed += np.repeat(blocks / 127 * 0.51, 32, axis=1).reshape(original.shape) + blocks.max() * 2.0**-10
        assert (difference <= allowed + 1e-6).all(), name


def test_half_precision_stays_what_it_is(tmp_path: Path, model: Qwen2ForCausalLM) -> None:
    folder = find_model(str(write_gguf(tmp_path / "tiny.gguf", model, KINDS.F16)))
    unpacked = AutoModelForCausalLM.from_pretrained(folder)
    assert unpacked.dtype == torch.float16
    torch.testing.assert_close(unpacked.lm_head.weight, model.lm_head.weight.half(), atol=0, rtol=0)


def test_the_tokenizer_is_that_of_the_file(tmp_path: Path, model: Qwen2ForCausalLM) -> None:
    folder = find_model(str(write_gguf(tmp_path / "tiny.gguf", model)))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.model_max_length == 300
    assert tokenizer.tokenize("hello<|im_end|>12") == ["he", "ll", "o", "<|im_end|>", "1", "2"]
    # An accent by itself and a letter with it are one text to Qwen's tokenizer.
    assert tokenizer("e\u0301")["input_ids"] == tokenizer("\u00e9")["input_ids"]
    text = "Ünïcode, 123 \t\n  and <|im_start|> spaces"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    written = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], add_generation_prompt=True, tokenize=False
    )
    assert written == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    assert GenerationConfig.from_pretrained(folder).eos_token_id == ends


def test_an_unknown_rule_of_splitting_words_is_told(
    tmp_path: Path, model: Qwen2ForCausalLM, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        find_model(str(write_gguf(tmp_path / "known.gguf", model)))
        assert "rule" not in caplog.text
        find_model(str(write_gguf(tmp_path / "tiny.gguf", model, rule="martian")))
    assert "splits words by the rule 'martian', unknown here" in caplog.text


def test_a_file_is_unpacked_once_wherever_it_lies(tmp_path: Path, model: Qwen2ForCausalLM, cache: Path) -> None:
    file = write_gguf(tmp_path / "tiny.gguf", model)
    folder = Path(find_model(str(file)))
    made = (folder / "model.safetensors").stat().st_mtime_ns
    (tmp_path / "elsewhere").mkdir()
    moved = file.rename(tmp_path / "elsewhere" / "tiny.gguf")
    assert find_model(str(moved)) == str(folder)
    assert (folder / "model.safetensors").stat().st_mtime_ns == made
    other = tiny_qwen2()
    other.lm_head.weight.data[0, 0] += 1
    assert find_model(str(write_gguf(tmp_path / "tiny.gguf", other))) != str(folder)
    assert len(left(cache)) == 2


def test_an_engine_answers_from_a_file_and_names_it(tmp_path: Path, model: Qwen2ForCausalLM) -> None:
    file = write_gguf(tmp_path / "tiny.gguf", model)
    settings = TransformersModel(model=str(file), device="cpu")
    (answer,) = answers_of(settings.start(), [[{"role": "user", "content": "Hi"}]], Sampling(0.0, 5))
    assert answer.completion_tokens <= 5
    before = settings.identity()
    assert before["model"] == str(file)
    write_gguf(file, model, KINDS.F16)
    assert settings.identity()["revision"] != before["revision"]


def refused(file: Path, cache: Path, *parts: str) -> None:
    with pytest.raises(InputError) as error:
        TransformersModel(model=str(file), device="cpu").start()
    line = str(error.value)
    for part in (file.name, *parts):
        assert part in line
    assert left(cache) == set()


def test_a_file_that_is_not_there_or_is_something_else_is_told(tmp_path: Path, cache: Path) -> None:
    refused(tmp_path / "none.gguf", cache, "there is no such GGUF file")
    with pytest.raises(InputError, match="there is no such GGUF file"):
        TransformersModel(model="none.gguf").identity()
    (tmp_path / "text.gguf").write_text("GG, but not that")
    refused(tmp_path / "text.gguf", cache, "is not a GGUF file")
    (tmp_path / "empty.gguf").touch()
    refused(tmp_path / "empty.gguf", cache, "is not a GGUF file")


@pytest.mark.parametrize("kept", [30, 3_000, 20_000])
def test_a_truncated_file_is_told(tmp_path: Path, model: Qwen2ForCausalLM, cache: Path, kept: int) -> None:
    file = write_gguf(tmp_path / "tiny.gguf", model)
    file.write_bytes(file.read_bytes()[:kept])
    refused(file, cache, "is damaged")


def test_a_part_of_a_model_is_not_filled_up_with_random_numbers(
    tmp_path: Path, model: Qwen2ForCausalLM, cache: Path
) -> None:
    file = write_gguf(tmp_path / "tiny.gguf", model, without={"blk.1.attn_q.weight", "blk.1.attn_k.weight"})
    refused(file, cache, "lacks model.layers.1.self_attn.k_proj.weight and 1 other weights", "gguf-split --merge")


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"architecture": "martian"}, "martian"), ({"architecture": "bert"}, "bert")],
)
def test_a_model_of_another_kind_is_told(
    tmp_path: Path, model: Qwen2ForCausalLM, cache: Path, changes: dict[str, Any], said: str
) -> None:
    refused(write_gguf(tmp_path / "tiny.gguf", model, **changes), cache, said)
