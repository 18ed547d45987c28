"""Settings that a teacher reads are taken, and those that it does not read are refused; nobody is asked here."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command import ROOT, environment, refused, run
from tests.hives.taught import KnownTeacher
from valueflow import train
from valueflow.llm import TransformersModel
from valueflow.run import InputError

NO_TEXTS = "nowhere.csv does not exist"
"""What is found once the settings have been taken."""


def told(folder: Path, **given: Any) -> str:
    """Return why nothing is distilled: at the latest, since there are no texts."""
    course = {"stage": "distill", "backbone": "minilm", "trainer": "cpu", "data.texts": "nowhere.csv"}
    with pytest.raises(InputError) as caught:
        train(output_dir=folder / "out", **course | given)
    assert not (folder / "out" / "summary.json").exists()
    return str(caught.value)


@pytest.mark.parametrize("teacher", ["embedding", KnownTeacher()], ids=["embedding", "object"])
@pytest.mark.parametrize(
    "given",
    [{"llm": "phi4"}, {"llm.dtype": "float32"}, {"llm": TransformersModel(model="mine")}, {"cache": "read"}],
    ids=["option", "entry", "object", "cache"],
)
def test_a_setting_that_the_teacher_does_not_read_is_refused(
    teacher: object, given: dict[str, Any], tmp_path: Path
) -> None:
    key = next(iter(given)).partition(".")[0]
    found = told(tmp_path, teacher=teacher, **given)
    assert found.startswith(f"{key} is for a teacher that asks a language model, such as teacher=logprob")
    assert found.endswith(f"leave {key} out")


@pytest.mark.parametrize(
    "given",
    [
        {"teacher": "embedding"},
        {"teacher": "embedding", "llm": "gemma3_27b", "cache": "on"},  # as if they were not given
        {"teacher": KnownTeacher()},
        {"teacher": "logprob", "llm": "phi4", "cache": "read"},
        {"teacher": "logprob", "llm.dtype": "float32"},
        {"teacher": "logprob", "llm": TransformersModel(model="mine")},
    ],
    ids=["neither", "defaults", "object", "both", "entry", "model object"],
)
def test_what_the_teacher_reads_is_taken(given: dict[str, Any], tmp_path: Path) -> None:
    assert NO_TEXTS in told(tmp_path, **given)


def test_teachers_of_ones_own_read_what_they_refer_to(tmp_path: Path) -> None:
    own = {"_target_": "valueflow.judge.embedding_judge", "encoder": "${llm.model}"}
    (tmp_path / "own" / "teacher").mkdir(parents=True)
    (tmp_path / "own" / "teacher" / "mine.yaml").write_text(yaml.safe_dump(own))
    work = tmp_path / "work"
    work.mkdir()

    def ended(*arguments: str) -> Any:
        course = ("stage=distill", "backbone=minilm", "trainer=cpu", "data.texts=nowhere.csv")
        env = environment(tmp_path / "cache", OMP_NUM_THREADS="1")
        own_options = ("--config-dir", str(tmp_path / "own"), "teacher=mine")
        return run(ROOT / "train.py", *own_options, *course, *arguments, folder=work, env=env)

    refused(ended("llm=transformers", "llm.model=mpnet"), work, NO_TEXTS)
    refused(ended("cache=read"), work, "cache is for a teacher that asks a language model")
