"""The config group `llm`: every option builds what it says, and no file repeats a default wrongly."""

import pytest
import yaml
from pydantic_core import PydanticUndefined

from valueflow.llm import OpenvinoModel, ServerModel, TransformersModel, VllmModel
from valueflow.run import CONFIG_DIR, built, compose_group, group_options

ENGINES = {"vllm": VllmModel, "openai": ServerModel, "transformers": TransformersModel, "openvino": OpenvinoModel}
OF_THE_HUB = {
    "gemma3_27b": "google/gemma-3-27b-it",
    "qwen3_32b": "Qwen/Qwen3-32B",
    "phi4": "microsoft/phi-4",
    "glm4_32b": "zai-org/GLM-4-32B-0414",
    "mistral_small": "mistralai/Mistral-Small-24B-Instruct-2501",
    "gpt_oss_20b": "openai/gpt-oss-20b",
    "llama3_8b": "meta-llama/Llama-3.1-8B-Instruct",
    "qwen3_4b": "Qwen/Qwen3-4B-Instruct-2507",
    "qwen3_8b": "Qwen/Qwen3-8B",
    "llama3_2_3b": "meta-llama/Llama-3.2-3B-Instruct",
    "gemma3_4b": "google/gemma-3-4b-it",
}


@pytest.mark.parametrize("name", ENGINES)
def test_the_files_of_engines_list_every_setting_with_its_default(name: str) -> None:
    listed = yaml.safe_load((CONFIG_DIR / "llm" / f"{name}.yaml").read_text(encoding="utf-8"))
    del listed["_target_"]
    fields = ENGINES[name].model_fields
    assert list(listed) == list(fields)
    for key, default in listed.items():
        if default != "???":
            assert (key, default) == (key, fields[key].default)
        elif name != "openai":
            assert fields[key].default is PydanticUndefined


@pytest.mark.parametrize("name", OF_THE_HUB)
def test_models_of_the_hub_are_run_by_vllm(name: str) -> None:
    model = built(compose_group("llm", name))
    assert isinstance(model, VllmModel)
    assert model.model == OF_THE_HUB[name]
    assert model.identity()["engine"] == "vllm"


@pytest.mark.parametrize("name", group_options("llm"))
def test_every_file_begins_with_what_it_is(name: str) -> None:
    assert (CONFIG_DIR / "llm" / f"{name}.yaml").read_text(encoding="utf-8").startswith("# ")


def test_models_that_think_are_kept_from_it_or_given_room() -> None:
    for name in ("qwen3_32b", "qwen3_8b"):
        assert built(compose_group("llm", name)).chat_template_kwargs == {"enable_thinking": False}
    thinking = built(compose_group("llm", "gpt_oss_20b"))
    assert thinking.reasoning_tokens >= 1000
    assert thinking.answer_after
    assert not thinking.structured_outputs


def test_identity_tells_what_decides_an_answer_and_leaves_out_what_does_not() -> None:
    def identity(**changes: object) -> dict[str, object]:
        return VllmModel.checked({"model": "owner/model", **changes}).identity()

    assert identity(tensor_parallel_size=2, data_parallel_size=2, enforce_eager=True) == identity()
    assert identity(gpu_memory_utilization=0.5, enable_prefix_caching=False) == identity()
    for changes in (
        {"revision": "abc"},
        {"dtype": "float16"},
        {"quantization": "awq"},
        {"max_model_len": 100},
        {"structured_outputs": False},
        {"chat_template_kwargs": {"a": 1}},
        {"reasoning_tokens": 5},
        {"answer_after": "x"},
        {"engine_args": {"rope_scaling": 2}},
    ):
        assert identity(**changes) != identity(), changes
