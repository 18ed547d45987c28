"""What loggers show of settings: options by name, and nothing secret."""

from pathlib import Path
from typing import Any

import pytest

from valueflow.reporting.runs import flat_figures, flat_settings, logged_config, redacted, run_tags
from valueflow.reporting.wandb_media import page
from valueflow.run import RunInfo, SweepInfo


def info(folder: Path, options: dict[str, str], **config: Any) -> RunInfo:
    return RunInfo(command="evaluate", name="n", config=config, options=options, folder=folder)


def test_options_stand_by_their_names_with_their_settings_apart(tmp_path: Path) -> None:
    judge = {"_target_": "valueflow.judge.LLMJudge", "llm": {"model": "m"}, "seed": 42, "temperature": 0.0, "cut": None}
    run = info(
        tmp_path,
        {"theory": "pvq", "judge": "llm", "llm": "openai"},
        **{"theory": {"name": "pvq", "levels": []}, "judge": judge, "llm": {"model": "m"}, "seed": 42, "k": 6},
        progress=True,
    )
    config = logged_config(run)
    versions = config.pop("versions")
    assert versions["python"]
    assert config == {
        **{"theory": "pvq", "judge": "llm", "llm": "openai", "seed": 42, "k": 6},
        "options": {"judge": {"temperature": 0.0}, "llm": {"model": "m"}},
    }
    assert flat_settings(run) == {
        **{"theory": "pvq", "judge": "llm", "llm": "openai", "seed": 42, "k": 6},
        **{"judge.temperature": 0.0, "llm.model": "m"},
    }


def test_tags_are_theory_value_model_and_judge(tmp_path: Path) -> None:
    model = tmp_path / "a_model"
    model.mkdir()
    options = {"theory": "pvq", "judge": "llm"}
    run = info(tmp_path, options, value="power", model=str(model), llm={"model": "ORG/" + "x" * 80})
    tags = run_tags(run)
    assert tags[:3] == ["pvq", "power", "a_model"]
    assert tags[3].startswith("ORG/xxx")
    assert len(tags[3]) == 64
    assert tags[4:] == ["llm"]
    assert run_tags(info(tmp_path, {}, values=["power", "security"])) == ["power", "security"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"api_key": "abc"}, {"api_key": "***"}),
        ({"deep": [{"Password": "abc", "n": 1}]}, {"deep": [{"Password": "***", "n": 1}]}),
        ({"api_key_env": "OPENAI_API_KEY"}, {"api_key_env": "OPENAI_API_KEY"}),
        ({"max_tokens": 5, "token_limit_key": "max_tokens"}, {"max_tokens": 5, "token_limit_key": "max_tokens"}),
        ("http://me:word@host:1/v1", "http://***@host:1/v1"),
        ("a query@home", "a query@home"),
        ("the server says s3cr3t-0f-m1ne is odd", "the server says *** is odd"),
        (None, None),
        (2.5, 2.5),
    ],
)
def test_secrets_are_hidden(given: Any, shown: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SERVER_KEY", "s3cr3t-0f-m1ne")
    # Too short to be one: it would be hidden in any text.
    monkeypatch.setenv("OTHER_KEY", "que")
    assert redacted(given) == shown


def test_figures_are_numbers(tmp_path: Path) -> None:
    summary = {
        "mean": 1,
        "passed": True,
        "label": "power",
        "deep": {"er": 2.5, "nan": float("nan")},
        "versions": {"a": 1},
    }
    assert flat_figures(summary) == {"mean": 1.0, "deep.er": 2.5}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("llm.extra_body={api_key:sk-live-123456}", "llm.extra_body={api_key:***}"),
        ("llm.api_key=sk-live-123456,value=power", "llm.api_key=***,value=power"),
        ("Authorization: Bearer", "Authorization: ***"),
        ("max_tokens=500 llm.api_key_env=OPENAI_API_KEY", "max_tokens=500 llm.api_key_env=OPENAI_API_KEY"),
        ("value=power intensity=-2", "value=power intensity=-2"),
    ],
)
def test_secrets_given_in_texts_are_hidden(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_the_page_of_a_sweep_holds_no_password_in_a_dashboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_PASSWORD", "a<b&c-long")
    file = tmp_path / "report.html"
    cells = ("no server at http://me:pw-of-mine@host/v1", "api_key=abc-123", "it said a&lt;b&amp;c-long", "me@home")
    file.write_text("".join(f"<td>{cell}</td>" for cell in cells))
    sweep = SweepInfo(command="evaluate", folder=tmp_path, finished={}, failed=[], exit_code=1, page=file)
    shown = ("no server at http://***@host/v1", "api_key=***", "it said ***", "me@home")
    assert page(sweep)["report"].html == "".join(f"<td>{cell}</td>" for cell in shown)
