"""Plain arguments become one override, and Hydra reads every name as it was."""

import os
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from tests.examples import examples
from valueflow.run import InputError
from valueflow.run.arguments import (
    check_flags,
    how_to_quote,
    overrides_first,
    with_open_options,
    with_positional,
    with_quotes,
)


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_plain_arguments_are_gathered_behind_the_others() -> None:
    arguments = ["runs/a", "seed=7", "-m", "b", "hydra.run.dir=out", "~logger"]
    assert with_positional(arguments, "folders") == [
        "seed=7",
        "-m",
        "hydra.run.dir=out",
        "~logger",
        'folders=["runs/a","b"]',
    ]


def test_without_plain_arguments_nothing_changes() -> None:
    arguments = ["folders=[a,b]", "--cfg", "job", "--config-dir", "mine", "-sc", "query=bash"]
    assert with_positional(arguments, "folders") == arguments


def test_the_value_of_a_flag_is_no_folder(work: Path) -> None:
    (work / "mine").mkdir()
    assert with_positional(["-cd", "mine", "mine"], "folders") == ["-cd", "mine", 'folders=["mine"]']


def test_a_folder_whose_name_looks_like_an_override_is_a_folder(work: Path) -> None:
    (work / "intensity=2").mkdir()
    assert with_positional(["intensity=2", "seed=1"], "folders") == ["seed=1", 'folders=["intensity=2"]']


def test_a_folder_whose_name_begins_with_a_dash_is_a_folder_but_for_flags(work: Path) -> None:
    for name in ("-old", "--old=1", "-m"):
        (work / name).mkdir()
    given = with_positional(["-old", "new", "-m", "--old=1"], "folders")
    assert given == ["-m", 'folders=["-old","new","--old=1"]']
    check_flags(given)
    with pytest.raises(InputError, match="-old is no flag"):
        check_flags(["-old"])


def test_both_ways_at_once_are_refused() -> None:
    with pytest.raises(InputError, match=r"folders are given twice: as folders=\.\.\. and as 'b'"):
        with_positional(["folders=[a]", "b"], "folders")


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(InputError, match=r"folders: the name 'runs/\\udcff' is not UTF-8"):
        with_positional([os.fsdecode(b"runs/\xff")], "folders")


def read_back(argument: str, folder: Path) -> list[str]:
    (folder / "primary.yaml").write_text("folders: null\n")
    with initialize_config_dir(str(folder), version_base="1.3"):
        return list(compose("primary", overrides=[argument]).folders)


@pytest.mark.parametrize(
    "name",
    [
        "a,b",
        "a b",
        "{a}",
        "[b",
        "it's",
        'say "x"',
        "back\\slash",
        "end\\",
        'q\\"',
        "${a}",
        "\\${b}",
        "007",
        "null",
        "é~%",
    ],
)
def test_every_name_stays_what_it_is(name: str, work: Path) -> None:
    (argument,) = with_positional([name, f"x/{name}"], "folders")
    assert read_back(argument, work) == [name, f"x/{name}"]


@settings(max_examples=examples(50))
@given(st.lists(st.text(st.sampled_from("ab\\\"'$[]{},: #"), min_size=1, max_size=8), min_size=1, max_size=3))
def test_any_characters_survive(names: list[str]) -> None:
    (argument,) = with_positional(names, "folders")
    (override,) = OverridesParser.create().parse_overrides([argument])
    assert list(OmegaConf.create({"folders": override.value()}).folders) == names


@pytest.mark.parametrize(
    "arguments",
    [
        ["value=power", "-m", "--config-dir", "mine", "--cfg", "job", "--resolve", "--help"],
        ["-cd", "--odd", "-cd=mine", "--config-dir=mine", "--multi", "-m", "folder", "key='-x=2'"],
    ],
)
def test_flags_that_there_are(arguments: list[str], work: Path) -> None:
    check_flags(arguments)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--value=power", "--value=power: settings have no dashes: value=power .in sweeps of Weights & Biases"),
        ("-value=power", "settings have no dashes: value=power"),
        ("--response-columns.value=x", "settings have no dashes: response_columns.value=x"),
        ("--value", "--value is no flag; a setting is written value=..."),
        ("--multrun", "did you mean '--multirun'"),
    ],
)
def test_flags_that_there_are_not(argument: str, message: str, work: Path) -> None:
    with pytest.raises(InputError, match=message):
        check_flags(["value=power", argument])


@settings(max_examples=examples(60))
@given(st.text(st.sampled_from("ab\\\"'$=()[]{},:~ #"), min_size=1, max_size=8))
def test_quotes_that_are_proposed_make_the_value_what_it_was(value: str) -> None:
    said = how_to_quote(f"key={value}")
    if "for the shell: " not in said:
        return
    (argument,) = shlex.split(said.partition("for the shell: ")[2])
    override = OverridesParser.create().parse_override(argument)
    assert override.value() == value or "\\" in value


def test_overrides_come_before_flags() -> None:
    assert overrides_first(["-m", "a=1", "--x=2", "b"]) == ["a=1", "-m", "--x=2", "b"]


@pytest.mark.parametrize(
    "value",
    [
        "</think>",
        "<answer>",
        "donn\u00e9es.csv",
        "a;b",
        "#1",
        "5 & 6",
        "\u25c1/think\u25b7",
        "a~b",
        "!",
        "x^2",
        "C:\\\u00e9",
    ],
)
def test_a_value_with_signs_that_hydra_does_not_know_is_that_text(value: str, work: Path) -> None:
    (work / "primary.yaml").write_text("text: null\n")
    arguments = with_quotes([f"text={value}"])
    with initialize_config_dir(str(work), version_base="1.3"):
        assert compose("primary", overrides=arguments)["text"] == value


@pytest.mark.parametrize(
    "argument",
    [
        "seed=7",
        "-m",
        "--config-dir=m\u00e9",
        "intensity=-2,0,2",
        "a='</think>'",
        "a=[<,>]",
        "a={b:<}",
        "a=${b}<",
        "a=f(<)",
        "<think>",
        "a=b=<",
        "~a",
        "+a.b=c/d e",
        "a=",
        "a=null",
        "a=*.csv",
        "a=http://localhost:1/v1",
    ],
)
def test_all_other_arguments_are_left_as_they_are(argument: str) -> None:
    assert with_quotes([argument]) == [argument]


@pytest.mark.parametrize(
    ("argument", "wanted"),
    [
        ("theory=data/duty.json", ["theory=file", "theory.file=data/duty.json"]),
        ("theory='my values.JSON'", ["theory=file", "theory.file='my values.JSON'"]),
        ("theory=a.json,b.json", ["theory=file", "theory.file=a.json,b.json"]),
        ("theory=pvq,mft", ["theory=pvq,mft"]),
        ("llm=org/model-1.5B", ["llm=vllm", "llm.model=org/model-1.5B"]),
        # A packaged option of the model knows more than its name.
        ("llm=Qwen/Qwen3-8B", ["llm=qwen3_8b"]),
        ("llm=Qwen/Qwen3-8B,phi4", ["llm=qwen3_8b,phi4"]),
        ("llm=smollm2", ["llm=smollm2"]),
        ("llm=./folder", ["llm=./folder"]),
        ("llm.model=org/model", ["llm.model=org/model"]),
        ("-m", ["-m"]),
    ],
)
def test_files_and_names_stand_for_options(argument: str, wanted: list[str]) -> None:
    assert with_open_options([argument]) == wanted


@pytest.mark.parametrize("argument", ["theory=pvq,a.json", "llm=phi4,org/model"])
def test_a_sweep_over_options_and_names_is_refused(argument: str) -> None:
    with pytest.raises(InputError, match="run it twice"):
        with_open_options([argument])
