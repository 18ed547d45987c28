"""What the overview says of prompts and of what calls cost."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from tests.comparison.simulated import write_job
from tests.report.reader import PageReader
from valueflow import make_report
from valueflow.run import write_json

USAGE = {"calls": 1200, "cache_hits": 34, "prompt_tokens": 5600, "completion_tokens": 78, "with_thoughts": 0}
COUNTED = "1,200 asked, 34 from the cache; 5,600 prompt and 78 completion tokens"
CONFIG = {
    "prompt": {"name": "default", "system": "You rank texts.", "user": "Rank {texts}."},
    "steering": {"name": "anchor", "system": "", "user": "Answer {query}."},
    "opinionqa": {
        "system": "",
        "default_prompt": "You are {member}.",
        "profile_prompt": "You hold {profile}.",
        "relevance_by": "encoder",
        "relevance_prompt": "Does it bear on it?",
    },
    "wording": {"system": "You sort.", "question": "Which of {options}?", "direction": "For or against?"},
    "check": {"system": "You check.", "question": "Is {rating} odd?"},
    "statements": "model",
    "statement_prompt": "Word {option}.",
}


def run_of(folder: Path, **summary: Any) -> Path:
    write_json(summary, folder / "summary.json")
    (folder / ".hydra").mkdir()
    OmegaConf.save(OmegaConf.create(CONFIG), folder / ".hydra" / "config.yaml")
    return folder


@pytest.mark.parametrize(
    ("usage", "said"),
    [
        ({"judging": USAGE}, f"judge calls: {COUNTED}"),
        ({"asking": USAGE}, f"calls of other models: {COUNTED}"),
        ({"wording": {**USAGE, "cache": "none"}}, f"calls of other models: {COUNTED}"),
        ({"check": {"panel": ["a"], "asking": USAGE}}, f"calls of other models: {COUNTED}"),
        ({"judging": {"seconds": 3.0}}, "The summaries count no call of a language model."),
    ],
)
def test_all_calls_are_counted_wherever_a_summary_has_them(tmp_path: Path, usage: dict[str, Any], said: str) -> None:
    assert said in make_report(run_of(tmp_path / "run", task="profile", **usage)).html


@pytest.mark.parametrize(
    ("summary", "prompts"),
    [
        ({"task": "steering"}, ["Answer {query}."]),
        ({"task": "opinionqa"}, ["You are {member}.", "You hold {profile}."]),
        ({"task": "categorization"}, ["You sort.", "Which of {options}?", "For or against?"]),
        ({"task": "construction", "check": {"asking": USAGE}}, ["You check.", "Is {rating} odd?"]),
        ({"task": "construction", "judge": {"kind": "llm"}}, ["You rank texts.", "Rank {texts}."]),
        ({"task": "construction", "judge": {"kind": "embedding"}}, []),
        ({"task": "profile"}, ["Word {option}."]),
    ],
)
def test_the_prompts_that_were_used(tmp_path: Path, summary: dict[str, Any], prompts: list[str]) -> None:
    tables = PageReader(make_report(run_of(tmp_path / "run", **summary)).html).tables
    assert [row[-1] for row in tables.get("Prompts", [[]])[1:]] == prompts


@pytest.mark.parametrize("member", ["llm", "embedding"])
def test_the_prompt_of_a_panel_with_a_language_model(tmp_path: Path, member: str) -> None:
    judge = {"kind": "panel", "members": [{"kind": "embedding", "encoder": "e"}, {"kind": member, "model": "m"}]}
    folder = run_of(tmp_path / "run")
    write_job(folder, [1.0, 2.0, 3.0], "abc", judge=judge)
    tables = PageReader(make_report(folder).html).tables
    assert ("Prompts" in tables) == (member == "llm")
    assert f"panel of embedding e, {member} m" in tables["What was run"][1]
