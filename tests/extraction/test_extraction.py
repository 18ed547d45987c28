"""Texts to files of vectors: with a model whose vectors are known, and with the real packaged one."""

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from valueflow import Embeddings, extract
from valueflow.extraction import tallies, vector_files
from valueflow.run import InputError, compose_settings, write_csv

D = 5


def known_vector(text: str) -> npt.NDArray[np.float32]:
    digest = hashlib.blake2b(text.encode(), digest_size=4 * D).digest()
    return (np.frombuffer(digest, dtype=np.uint32) / 2**31 - 1).astype(np.float32)


class KnownModel:
    """A model whose vector of a text depends on the text alone."""

    device = "cpu"
    max_seq_length = 256

    def __init__(self, before: Callable[[list[str]], None] = lambda texts: None) -> None:
        self.calls: list[list[str]] = []
        self._before = before

    def encode(self, texts: list[str], **options: Any) -> npt.NDArray[np.float32]:
        assert options == {"batch_size": options["batch_size"], "convert_to_numpy": True, "show_progress_bar": False}
        self._before(texts)
        self.calls.append(texts)
        return np.stack([known_vector(text) for text in texts])


def table(path: Path, texts: list[str], theories: list[str] | None = None) -> str:
    frame = pd.DataFrame({"text": texts, "n": 1} | ({"theory": theories} if theories else {}), dtype=object)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        write_csv(frame, path)
    return str(path)


def arrays(file: Path) -> tuple[list[str], npt.NDArray[np.float32]]:
    with np.load(file, allow_pickle=False) as content:
        assert set(content.files) == {"texts", "embeddings"}
        texts, vectors = content["texts"], content["embeddings"]
    assert texts.dtype.kind == "U"
    assert vectors.dtype == np.float32
    assert vectors.shape[0] == len(texts)
    return texts.tolist(), vectors


@cache
def defaults() -> dict[str, Any]:
    return compose_settings("extract", {"input": "given below"})


def embed(folder: Path, source: str, model: Any = None, **more: Any) -> Embeddings:
    """Call with all settings, for which nothing need be composed."""
    return extract(**defaults() | {"model": model or KnownModel(), "input": source, **more}, output_dir=folder)


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: text.strip() != "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(40))
@given(
    rows=st.lists(st.tuples(ANY_TEXT, st.sampled_from(["pvq", "mft", "mine"])), min_size=1, max_size=9),
    rows_per_chunk=st.integers(1, 10),
    batch_size=st.integers(1, 4),
)
@example(rows=[("a\0", "pvq"), ("\0", "pvq"), ("{a}, 😀\r\nb", "mft"), ("a", "pvq")], rows_per_chunk=2, batch_size=1)
def test_every_theory_s_file_holds_its_texts_and_vectors_in_order(
    tmp_path: Path, rows: list[tuple[str, str]], rows_per_chunk: int, batch_size: int
) -> None:
    texts, theories = [text for text, _ in rows], [theory for _, theory in rows]
    source = table(tmp_path / "t.csv", texts, theories)
    more = {"rows_per_chunk": rows_per_chunk, "batch_size": batch_size, "normalize": False}
    result = embed(tmp_path / "out", source, **more)
    assert list(result.files) == list(dict.fromkeys(theories))
    for theory, file in result.files.items():
        own = [text for text, other in rows if other == theory]
        assert file.name == f"embedding_{theory}.npz"
        stored, vectors = arrays(file)
        assert stored == [text.rstrip("\0") for text in own]
        np.testing.assert_array_equal(vectors, [known_vector(text) for text in own])
    counts = {row["theory"]: (row["texts"], row["nul"], row["longest"]) for row in result.summary["theories"]}
    assert counts == {
        theory: (len(own), sum(text.endswith("\0") for text in own), max(map(len, own)))
        for theory in dict.fromkeys(theories)
        for own in [[text for text, other in rows if other == theory]]
    }


def test_a_parquet_file_makes_the_same(tmp_path: Path) -> None:
    texts = [f"text {n} " + "word " * (n % 7) for n in range(40)]
    theories = ["pvq", "rights", "Right", "mft"] * 10
    one = embed(tmp_path / "one", table(tmp_path / "t.csv", texts, theories), rows_per_chunk=7)
    other = embed(tmp_path / "other", table(tmp_path / "t.parquet", texts, theories), rows_per_chunk=16)
    assert list(one.files) == list(other.files) == ["pvq", "right", "mft"]
    for theory in one.files:
        assert one.files[theory].read_bytes() == other.files[theory].read_bytes()
    assert len(arrays(one.files["right"])[0]) == 20


def test_texts_of_like_length_go_to_the_model_together(tmp_path: Path) -> None:
    texts = [("long " * 50 + str(n)) if n % 2 else f"short {n}" for n in range(64)]
    model = KnownModel()
    embed(tmp_path / "out", table(tmp_path / "t.csv", texts), model, theory="pvq", batch_size=2)
    # The first call asks for the length of a vector.
    assert [len(call) for call in model.calls[1:]] == [32, 32]
    assert all(text.startswith("long") for text in model.calls[1])


def test_vectors_have_length_one_in_single_precision_whatever_the_model_computes_in(tmp_path: Path) -> None:
    class Half(KnownModel):
        def encode(self, texts: list[str], **options: Any) -> Any:
            return super().encode(texts, **options).astype(np.float16)

    source = table(tmp_path / "t.csv", ["a", "b", "c"])
    for model in (Half(), KnownModel()):
        _, vectors = arrays(embed(tmp_path / "out", source, model, theory="pvq").files["pvq"])
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        truth = np.stack([known_vector(text) for text in "abc"])
        np.testing.assert_allclose(vectors, truth / np.linalg.norm(truth, axis=1, keepdims=True), atol=2e-3)


def test_the_theory_of_all_texts_or_the_one_that_is_chosen(tmp_path: Path) -> None:
    plain = table(tmp_path / "plain.csv", ["a", "b"])
    for given_theory, name in (("rights", "right"), ({"name": "my_own"}, "my_own")):
        result = extract(theory=given_theory, model=KnownModel(), input=Path(plain), output_dir=str(tmp_path / name))
        assert list(result.files) == [name]
        assert arrays(result.files[name])[0] == ["a", "b"]
    mixed = table(tmp_path / "mixed.csv", list("abcd"), ["pvq", "mft", "pvq", "duty"])
    chosen = embed(tmp_path / "chosen", mixed, theory="pvq")
    assert arrays(chosen.files["pvq"])[0] == ["a", "c"]
    assert (chosen.summary["texts"], chosen.summary["left_out"]) == (2, 2)
    assert {path.name for path in (tmp_path / "chosen").iterdir()} == {"embedding_pvq.npz", "summary.json"}
    result = extract(theory="any", model=KnownModel(), input=mixed, output_dir=tmp_path / "any")
    assert list(result.files) == ["pvq", "mft", "duty"]


def test_long_texts_are_embedded_whole_and_stored_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["short", "long " * 20_000, "exactly 12 c", "thirteen char", "NUL at 12 \0\0\0\0"]
    result = embed(tmp_path / "out", table(tmp_path / "t.csv", texts), theory="pvq", max_characters=12, normalize=False)
    stored, vectors = arrays(result.files["pvq"])
    assert stored == ["short", "long long lo", "exactly 12 c", "thirteen cha", "NUL at 12 "]
    np.testing.assert_array_equal(vectors, [known_vector(text) for text in texts])
    assert result.summary["theories"][0]["truncated"] == 3
    result.show()
    shown = capsys.readouterr().out
    assert "3 texts longer than max_characters=12, embedded whole and stored truncated" in shown
    assert "embedding_pvq.npz" in shown
    assert result.tables()["theories"].to_dict("list")["texts"] == [5]


def test_an_array_of_texts_beyond_bounds_is_refused_with_a_bound_that_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallies, "MAX_BYTES_OF_TEXTS", 4000)
    source = table(tmp_path / "t.csv", ["a", "b" * 300, "c" * 334, "d"] + ["e"] * 6, ["mft", *["pvq"] * 9])
    with pytest.raises(InputError) as caught:
        embed(tmp_path / "out", source)
    for part in ("row 3", "9 texts", "theory 'pvq'", "334 characters", "max_characters=111"):
        assert part in str(caught.value)
    assert not (tmp_path / "out").exists()
    stored, _ = arrays(embed(tmp_path / "out", source, max_characters=111).files["pvq"])
    assert 4 * len(stored) * max(map(len, stored)) == 4 * 9 * 111


def test_wide_arrays_of_texts_are_laid_out_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_files, "_BLOCK_BYTES", 100)
    texts = ["x" * 30, "a", "b\n", "y" * 29, "c"]
    assert arrays(embed(tmp_path / "out", table(tmp_path / "t.csv", texts), theory="pvq").files["pvq"])[0] == texts


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_vectors_that_are_not_finite_are_counted_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(KnownModel):
        def encode(self, texts: list[str], **options: Any) -> Any:
            vectors = super().encode(texts, **options)
            vectors[["bad" in text for text in texts]] = np.nan if "c" in texts else np.inf
            return vectors

    source = table(tmp_path / "t.csv", ["a", "bad", "c", "bad"], ["pvq", "mft", "mft", "pvq"])
    result = embed(tmp_path / "out", source, Broken(), rows_per_chunk=2)
    assert [row["not_finite"] for row in result.summary["theories"]] == [1, 1]
    assert result.summary["not_finite_rows"] == [2, 4]
    np.testing.assert_array_equal(np.isfinite(arrays(result.files["mft"])[1]).all(axis=1), [False, True])
    result.show()
    assert "2 vectors that are not finite, of rows 2, 4" in capsys.readouterr().out


def test_the_summary_says_what_was_done(tmp_path: Path) -> None:
    result = embed(tmp_path / "out", table(tmp_path / "t.csv", ["a", "b"], ["pvq", "mft"]))
    written = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert written == result.summary
    assert (written["task"], written["model"], written["dimension"], written["window"]) == (
        "embed",
        "KnownModel",
        D,
        256,
    )
    assert [row["file"] for row in written["theories"]] == ["embedding_pvq.npz", "embedding_mft.npz"]
    assert {"check", "load", "embed", "texts", "total"} == written["timings"].keys()
    assert {"python", "valueflow", "numpy"} <= written["versions"].keys()


@pytest.mark.parametrize("fault", [RuntimeError("out of memory"), KeyboardInterrupt()])
def test_what_is_interrupted_leaves_no_part_of_a_file(tmp_path: Path, fault: BaseException) -> None:
    source = table(tmp_path / "t.csv", list("abcdef"), ["pvq", "mft"] * 3)
    before = embed(tmp_path / "out", source, normalize=False)
    kept = {theory: file.read_bytes() for theory, file in before.files.items()}

    def break_off(texts: list[str]) -> None:
        if "e" in texts:
            raise fault

    for folder in ("new", "out"):
        with pytest.raises(type(fault)):
            embed(tmp_path / folder, source, KnownModel(break_off), rows_per_chunk=2)
    assert list((tmp_path / "new").iterdir()) == []
    # What an earlier run made is still whole, but the folder no longer looks like that of a finished run.
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"embedding_pvq.npz", "embedding_mft.npz"}
    assert {theory: file.read_bytes() for theory, file in before.files.items()} == kept


def test_a_file_that_grows_meanwhile_ends_the_run(tmp_path: Path) -> None:
    source = table(tmp_path / "t.csv", list("abc"))

    def grow(texts: list[str]) -> None:
        with Path(source).open("a") as stream:
            stream.write("new,1\n")

    with pytest.raises(InputError, match="has changed while it was read"):
        embed(tmp_path / "out", source, KnownModel(grow), theory="pvq")
    assert list((tmp_path / "out").iterdir()) == []


UNUSABLE: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"input": "no.csv"}, ("no.csv does not exist", "did you mean 'ok.csv'?")),
    ({"input": "near.csv"}, ("column 'text' is missing", "did you mean 'txt'?")),
    ({"input": "blank.csv"}, ("blank.csv, row 3, column 'text'",)),
    ({"theory": None}, ("no column 'theory'", "theory=pvq")),
    ({"theory": "pqv"}, ("theory 'pqv' is unknown", "did you mean 'pvq'?")),
    ({"theory": {"name": "a/b"}}, ("theory", "'a/b' cannot be part of a file's name")),
    ({"theory": {"nam": "a"}}, ("theory: has no name",)),
    ({"input": "mixed.csv", "theory": "duty"}, ("no row of theory 'duty'", "mine")),
    ({"input": "cases.csv", "theory": None}, ("row 2", "theory 'Mine' is 'mine' elsewhere")),
    ({"input": "many.csv", "theory": None}, ("row 101", "one more than 100", "input_columns.theory=")),
    ({"inputs": "ok.csv"}, ("unknown setting 'inputs'; did you mean 'input'?",)),
    ({"task": "embedd"}, ("task=embedd", "'embed'")),
    ({"model": "./nothing"}, ("encoder './nothing': there is no such folder",)),
    ({"model": 3}, ("model: is neither a name",)),
    ({"batch_size": 0}, ("batch_size=0",)),
    ({"rows_per_chunk": 0}, ("rows_per_chunk=0",)),
    ({"max_characters": 0}, ("max_characters=0",)),
    ({"devices": []}, ("devices=[]",)),
    ({"dtype": "int8"}, ("dtype=int8", "bfloat16")),
    ({"dtype": "float16", "model": KnownModel()}, ("dtype=float16 is for a model that is loaded by name",)),
    ({"input_columns": {"txt": "x"}}, ("input_columns: unknown column 'txt'; did you mean 'text'?",)),
    ({"output_dir": None}, ("'output_dir' is not set",)),
]
"""Settings, and what the line must say. No model is loaded for any of it."""


@pytest.mark.parametrize(("more", "parts"), UNUSABLE, ids=[" ".join(map(str, more)) for more, _ in UNUSABLE])
def test_what_cannot_be_used_is_told_in_one_line_and_leaves_nothing(
    more: dict[str, Any], parts: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ok.csv").write_text("text\na\nb\n")
    Path("near.csv").write_text("txt,n\na,1\n")
    Path("blank.csv").write_text("text,n\na,1\nb,2\n  ,3\n")
    Path("mixed.csv").write_text("text,theory\na,mine\n")
    Path("cases.csv").write_text("text,theory\na,mine\nb,Mine\n")
    Path("many.csv").write_text("text,theory\n" + "".join(f"a,t{n}\n" for n in range(150)))
    before = set(tmp_path.iterdir())
    with pytest.raises(InputError) as caught:
        extract(**{"input": "ok.csv", "theory": "pvq", "output_dir": tmp_path / "out", **more})
    told = str(caught.value)
    assert "\n" not in told
    assert all(part in told for part in parts), told
    assert set(tmp_path.iterdir()) == before


def test_the_input_must_be_named() -> None:
    with pytest.raises(InputError, match="'input' is not set; give input="):
        extract(theory="pvq", output_dir="out")


# ---- The packaged model


SENTENCES = [f"Number {n} kept {'a promise' if n % 3 else 'nothing but ' * (n % 8)} to {n} people." for n in range(90)]


@pytest.fixture(scope="module")
def minilm() -> Any:
    from valueflow.encoder import load_model

    return load_model("minilm")


@pytest.mark.slow
def test_chunks_and_batches_do_not_change_vectors(tmp_path: Path, minilm: Any) -> None:
    source = table(tmp_path / "t.csv", SENTENCES, ["pvq", "mft", "pvq"] * 30)
    expected = minilm.encode(SENTENCES, normalize_embeddings=True)
    for number, (rows_per_chunk, batch_size) in enumerate([(7, 3), (8192, 64)]):
        result = embed(tmp_path / str(number), source, minilm, rows_per_chunk=rows_per_chunk, batch_size=batch_size)
        for theory, places in (("pvq", [n for n in range(90) if n % 3 != 1]), ("mft", range(1, 90, 3))):
            texts, vectors = arrays(result.files[theory])
            assert texts == [SENTENCES[place] for place in places]
            np.testing.assert_allclose(vectors, expected[list(places)], atol=1e-5)
        assert (result.summary["dimension"], result.summary["window"]) == (384, 256)


@pytest.mark.slow
def test_processes_on_several_devices_make_the_same_vectors(tmp_path: Path, minilm: Any) -> None:
    source = table(tmp_path / "t.csv", SENTENCES)
    result = embed(tmp_path / "out", source, "minilm", theory="pvq", devices=["cpu", "cpu"], rows_per_chunk=50)
    texts, vectors = arrays(result.files["pvq"])
    assert texts == SENTENCES
    np.testing.assert_allclose(vectors, minilm.encode(SENTENCES, normalize_embeddings=True), atol=1e-5)
    assert result.summary["devices"] == ["cpu", "cpu"]


@pytest.mark.slow
def test_half_precision_is_near_and_vectors_are_of_length_one(tmp_path: Path, minilm: Any) -> None:
    source = table(tmp_path / "t.csv", SENTENCES[:8])
    result = embed(tmp_path / "out", source, "minilm", theory="pvq", dtype="bfloat16", devices="cpu")
    _, vectors = arrays(result.files["pvq"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    alike = (vectors * minilm.encode(SENTENCES[:8], normalize_embeddings=True)).sum(axis=1)
    assert (alike > 0.99).all()
    assert (alike < 1 - 1e-7).any()


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "part"), [(["gpu9"], "'gpu9' is no device"), (["cpu", "cuda:99"], "no 'cuda:99'")])
def test_devices_that_are_not_there_are_told(tmp_path: Path, devices: list[str], part: str) -> None:
    with pytest.raises(InputError, match=part):
        embed(tmp_path / "out", table(tmp_path / "t.csv", ["a"]), "minilm", theory="pvq", devices=devices)
    assert not (tmp_path / "out").exists()


def test_a_prompt_of_the_model_goes_before_every_text(tmp_path: Path) -> None:
    class PromptedModel(KnownModel):
        prompts: ClassVar = {"query": "Instruct: find. ", "document": ""}

        def encode(self, texts: list[str], *, prompt_name: str = "document", **options: Any) -> npt.NDArray[np.float32]:
            return super().encode([self.prompts[prompt_name] + text for text in texts], **options)

    source = table(tmp_path / "t.csv", ["one", "two"])
    for name, before in (("query", "Instruct: find. "), (None, "")):
        embed(tmp_path / "out", source, PromptedModel(), theory="pvq", prompt_name=name, normalize=False)
        texts, vectors = arrays(tmp_path / "out" / "embedding_pvq.npz")
        assert texts == ["one", "two"]
        np.testing.assert_array_equal(vectors, [known_vector(before + text) for text in texts])
    with pytest.raises(InputError, match="prompt_name=querry: the model has no such prompt; did you mean 'query'"):
        embed(tmp_path / "out", source, PromptedModel(), theory="pvq", prompt_name="querry")
    with pytest.raises(InputError, match="prompt_name=query: the model has no such prompt; Known: none"):
        embed(tmp_path / "out", source, theory="pvq", prompt_name="query")


@pytest.mark.slow
def test_a_model_whose_prompts_are_empty_has_none(tmp_path: Path, minilm: Any) -> None:
    assert not any(minilm.prompts.values())
    with pytest.raises(InputError, match="prompt_name=query: the model has no such prompt; Known: none"):
        embed(tmp_path / "out", table(tmp_path / "t.csv", ["a"]), minilm, theory="pvq", prompt_name="query")
