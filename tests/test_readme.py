"""What the README says beyond the commands that `test_docs.py` runs, and the project files that repeat its facts."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def lines_of(language: str) -> list[str]:
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)).splitlines()


def test_commands_of_the_table_are_those_that_are_run() -> None:
    in_table = re.findall(r"^\| .* \| `(python .*)` \|$", README, re.MULTILINE)
    assert len(in_table) > 10
    assert [command for command in in_table if command not in lines_of("bash") and "--help" not in command] == []


def test_set_up_names_what_is_there() -> None:
    set_up = "\n".join(lines_of("sh"))
    for target in re.findall(r"make ([a-z-]+)", set_up):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)
    assert re.findall(r"source (.*)/activate", set_up) == re.findall(r"^BIN := (.*)$", MAKEFILE, re.MULTILINE)
    assert set(re.findall(r"valueflow\[(\w+)\]", set_up)) <= set(PROJECT["optional-dependencies"])
    assert re.findall(r"git clone (\S+)", set_up) == [PROJECT["urls"]["Repository"]]


@pytest.mark.skipif(shutil.which("bash") is None, reason="completion is for bash")
@pytest.mark.parametrize("program", ["valueflow-evaluate", "python evaluate.py"])
def test_bash_completes_groups_and_options(program: str) -> None:
    install = f'eval "$({program} -sc install=bash)"'
    assert install in README
    line = f"{program} theory=pv"
    script = f"""{install}
    COMP_LINE='{line}'; COMP_POINT={len(line)}; COMP_CWORD={len(program.split())}
    $(complete -p {program.split()[0]} | sed -E 's/.*-F ([a-z_]+).*/\\1/')
    echo "${{COMPREPLY[@]}}" """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=ROOT, env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert done.stdout.strip() == "theory=pvq", done.stderr


def test_the_citation_is_of_this_version_and_of_the_paper_that_the_readme_names() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert citation["repository-code"] == PROJECT["urls"]["Repository"]
    paper, text = citation["preferred-citation"], " ".join(README.split())
    names = ", ".join(author["family-names"] for author in paper["authors"])
    assert f'{names}, "{paper["title"]}", {paper["conference"]["name"]}' in text
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{PROJECT['version']}]" in changelog


def test_files_that_the_source_archive_lists_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    include = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert [name for name in include if not (ROOT / name).exists()] == []
    assert (ROOT / "valueflow" / "py.typed").is_file()
