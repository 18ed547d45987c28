"""`python extract.py` as a person runs it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.command import Finished, environment, lists_all, refused, succeeded, summary_in
from tests.command import run as run_app
from valueflow.run import write_csv

ROOT = Path(__file__).parents[1]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def run(work: Path, *arguments: str, fresh: bool = False) -> Finished:
    env = environment(work.parent / "cache")
    return run_app(ROOT / "extract.py", *arguments, folder=work, env=env, fresh=fresh)


def test_help_names_every_key_and_group_and_option(work: Path) -> None:
    lists_all(succeeded(run(work, "--help")).stdout, "extract")
    assert list(work.iterdir()) == []


TEXTS = [
    ("I kept my word, although nobody would ever have known.", "pvq"),
    ("{first: [1, 2}\nsecond line, with a comma", "rights"),
    ("a bell \x07, a colour \x1b[31m and a carriage return \r inside", "pvq"),
    ("beyond the first plane: \U0001f600 and \U0001d4b3", "Right"),
    ("NA", "pvq"),
    ('she said "no" ' * 8000, "right"),
    ("  spaces around are kept  ", "pvq"),
]


@pytest.mark.slow
def test_a_run_writes_one_file_a_theory(work: Path) -> None:
    from sentence_transformers import SentenceTransformer

    from valueflow.encoder import model_source

    source = work.parent / "texts.csv"
    write_csv(pd.DataFrame(TEXTS, columns=["words", "theory"]), source)
    more = ("input_columns.text=words", "max_characters=1000", "rows_per_chunk=3", "hydra.run.dir=out")
    done = succeeded(run(work, "task=embed", f"input={source}", *more, fresh=True))
    model = SentenceTransformer(model_source("minilm"))
    for theory, names in (("pvq", {"pvq"}), ("right", {"right", "rights", "Right"})):
        own = [text for text, name in TEXTS if name in names]
        with np.load(work / "out" / f"embedding_{theory}.npz", allow_pickle=False) as content:
            texts, vectors = content["texts"], content["embeddings"]
        assert texts.tolist() == [text[:1000] for text in own]
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, model.encode(own, normalize_embeddings=True), atol=1e-5)
        assert f"embedding_{theory}.npz" in done.stdout
    assert "1 texts longer than max_characters=1000, embedded whole and stored truncated" in done.stdout
    files = {"embedding_pvq.npz", "embedding_right.npz", "summary.json", "extract.log", ".hydra"}
    assert {path.name for path in (work / "out").iterdir()} == files
    summary = summary_in(work / "out")
    counts = {row["theory"]: (row["texts"], row["truncated"]) for row in summary["theories"]}
    assert counts == {"pvq": (4, 0), "right": (3, 1)}
    assert (summary["dimension"], summary["model"], summary["texts"]) == (384, "minilm", 7)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("input=text.csv", "theory=pvq"), ("text.csv does not exist", "did you mean 'texts.csv'?")),
        (("input=texts.csv", "theory=pvq"), ("texts.csv, row 3, column 'text': the text is missing",)),
        (("input=texts.csv", "theory=pvq", "modell=minilm"), ("unknown setting 'modell'", "did you mean 'model'?")),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line_and_leaves_nothing(
    work: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    source = work.parent / "texts.csv"
    source.write_text("text,n\na,1\nb,2\n,3\nc,4\n")
    here = [argument.replace("input=", f"input={work.parent}/") for argument in arguments]
    refused(run(work, *here), work, *parts)
