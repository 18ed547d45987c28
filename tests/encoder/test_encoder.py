"""The real packaged encoder: vectors, the window it cuts at, what it keeps."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from valueflow.encoder import VectorCache, load_encoder
from valueflow.run import InputError

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path))


def test_vectors_are_those_of_sentence_transformers() -> None:
    encoder = load_encoder("minilm")
    texts = ["He helped.", "She refused to help.", "", "He helped."]
    expected = encoder._model.encode(texts, normalize_embeddings=True)
    got = encoder.encode(texts)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)
    assert encoder is load_encoder("minilm")


def test_batch_size_and_order_change_nothing_that_matters() -> None:
    texts = [f"sentence number {i} " + "word " * (i % 30) for i in range(120)]
    load_encoder.cache_clear()
    one = load_encoder("minilm").encode(texts, batch_size=1)
    load_encoder.cache_clear()
    other = load_encoder("minilm").encode(texts[::-1], batch_size=64)[::-1]
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_texts_are_cut_so_that_a_continuation_still_counts() -> None:
    encoder = load_encoder("minilm")
    long = "All work and no play makes a dull day. " * 3000
    tail = " This harms people."
    (truncated,) = encoder.shortened([long], room_for=tail)
    assert long.startswith(truncated)
    assert 900 < len(truncated) < 1200
    assert len(encoder._model.tokenizer(truncated + tail)["input_ids"]) <= encoder._model.max_seq_length
    with_tail, without = encoder.encode([truncated + tail, truncated])
    assert with_tail @ without < 0.9999
    assert encoder.shortened(["short", "", "{[\n\x00"], room_for=tail) == ["short", "", "{[\n\x00"]


def test_vectors_are_kept_on_disk_and_told_apart_by_model_and_texts() -> None:
    texts = [f"text {i}" for i in range(150)]
    load_encoder.cache_clear()
    first = load_encoder("minilm").encode(texts)
    load_encoder.cache_clear()
    again = load_encoder("minilm")
    again._model.encode = None  # the model must not be needed now
    np.testing.assert_array_equal(again.encode(texts), first)
    load_encoder.cache_clear()
    vectors = np.eye(2, dtype=np.float32)
    other = np.zeros((2, 2), dtype=np.float32)
    cache = VectorCache("a")
    np.testing.assert_array_equal(cache.get(["x", "y"], lambda: vectors), vectors)
    np.testing.assert_array_equal(cache.get(["x", "y"], lambda: other), vectors)
    for texts in (["y", "x"], ["xy", ""]):
        np.testing.assert_array_equal(cache.get(texts, lambda: other), other)
    np.testing.assert_array_equal(VectorCache("b").get(["x", "y"], lambda: other), other)


def test_a_damaged_file_and_a_folder_that_cannot_be_written_are_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = np.eye(2, dtype=np.float32)
    VectorCache("a").get(["x", "y"], lambda: vectors * 2)
    (file,) = (tmp_path / "vectors").iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    np.testing.assert_array_equal(VectorCache("a").get(["x", "y"], lambda: vectors), vectors)
    (tmp_path / "a file").touch()
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path / "a file"))
    np.testing.assert_array_equal(VectorCache("a").get(["x", "y"], lambda: vectors), vectors)


def test_processes_that_want_the_same_vectors_make_them_once(tmp_path: Path) -> None:
    code = """
import sys, time
import numpy as np
from valueflow.encoder import VectorCache
def make():
    with open(sys.argv[1], "a") as stream:
        stream.write("made\\n")
    time.sleep(1)
    return np.ones((2, 3), dtype=np.float32)
assert VectorCache("m").get(["x", "y"], make).sum() == 6
"""
    log = tmp_path / "log"
    workers = [subprocess.Popen([sys.executable, "-c", code, str(log)]) for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert log.read_text() == "made\n"


@pytest.mark.parametrize("name", ["no/such/folder", "./nothing", "minilmm"])
def test_a_model_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(InputError, match="encoder '"):
        load_encoder(name)


def test_a_model_that_is_code_of_its_own_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}')
    (tmp_path / "own.py").write_text("raise SystemExit('run')\n")
    with pytest.raises(InputError) as caught:
        load_encoder(str(tmp_path))
    assert "code of a model is never run" in str(caught.value)
    assert "trust_remote_code" not in str(caught.value)
