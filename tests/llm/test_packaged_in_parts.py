"""A chat model that comes in parts: a tiny one, in packages as pip leaves them."""

import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen2ForCausalLM

from tests.llm.tiny_gguf import tiny_qwen2, write_gguf
from tests.packages.fakes import in_parts, part_path, write_parts
from valueflow.llm import TransformersModel
from valueflow.llm.engines.packaged import PACKAGED, PackagedModel, gguf_file, model_folder
from valueflow.run import InputError


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Qwen2ForCausalLM, bytes]:
    model = tiny_qwen2()
    return model, write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", model).read_bytes()


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the cache where models are kept."""
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: tuple[Qwen2ForCausalLM, bytes]) -> Path:
    """Return the folder where the model `fake` is installed, in 11 parts."""
    folder = tmp_path / "site"
    file = write_parts(folder, in_parts(written[1], 11))
    monkeypatch.setitem(PACKAGED, "fake", PackagedModel(file=file, dtype="float32", unpacked_size=10**6))
    monkeypatch.syspath_prepend(str(folder))
    return folder


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_a_model_in_parts_is_unpacked_and_its_joined_file_is_not_kept(
    site: Path, models: Path, written: tuple[Qwen2ForCausalLM, bytes]
) -> None:
    folder = model_folder("fake")
    assert folder == models / "fake-1.0"
    assert entries(models) == {"fake-1.0"}
    assert {path.suffix for path in folder.iterdir()} == {".json", ".jinja", ".safetensors"}
    tokens = torch.arange(100)[None]
    with torch.inference_mode():
        expected, found = written[0](tokens).logits, AutoModelForCausalLM.from_pretrained(folder)(tokens).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    # Nothing is needed of the packages any more.
    shutil.rmtree(site)
    assert model_folder("fake") == folder
    assert TransformersModel(model="fake").identity()["revision"] == "1.0"


def test_engines_that_read_the_file_get_it_joined_and_kept(
    site: Path, models: Path, written: tuple[Qwen2ForCausalLM, bytes]
) -> None:
    file = gguf_file("fake")
    assert file.read_bytes() == written[1]
    assert entries(models) == {"fake-1.0.gguf"} == {file.name}
    # From then on it is what folders are made of: the packages may be gone.
    shutil.rmtree(site)
    assert gguf_file("fake") == file
    assert model_folder("fake") == models / "fake-1.0"
    assert entries(models) == {"fake-1.0.gguf", "fake-1.0"}


@pytest.mark.parametrize("asked", [model_folder, gguf_file])
def test_a_damaged_or_missing_part_leaves_nothing(site: Path, models: Path, asked: type) -> None:
    whole = part_path(site, 10).read_bytes()
    part_path(site, 10).write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(InputError, match=r"^model 'fake': part 10 of 11, in the package fake-part10, is damaged; pip "):
        asked("fake")
    assert entries(models) == set()
    part_path(site, 10).unlink()
    with pytest.raises(InputError, match="part 10 of 11, in the package fake-part10, is missing"):
        asked("fake")
    assert entries(models) == set()


def test_too_little_room_is_told_before_anything_is_joined(
    site: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = PackagedModel(file=PACKAGED["fake"].file, dtype="float32", unpacked_size=10**17)
    monkeypatch.setitem(PACKAGED, "fake", huge)
    with pytest.raises(InputError, match="needs 100000000.0 GB of room, and the disk of .* has [0-9.]+ GB"):
        model_folder("fake")
    assert entries(models) == set()


def test_a_file_that_is_no_model_is_told_and_leaves_nothing(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_parts(tmp_path / "site", [b"GGUF", b"and nothing else"])
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setitem(PACKAGED, "fake", PackagedModel(file=file, dtype="float32", unpacked_size=10**6))
    with pytest.raises(InputError, match="^model 'fake' is damaged or of a newer kind"):
        model_folder("fake")
    assert entries(models) == set()
