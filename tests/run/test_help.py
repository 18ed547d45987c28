"""What help says of keys: the comments of the YAML files, each key once."""

from pathlib import Path

import pytest
import yaml

from valueflow.apps import COMMANDS
from valueflow.run import CONFIG_DIR, documented, group_options, reference_page

ROOT = Path(__file__).parents[2]


def test_a_file_is_read_as_its_comments_say(tmp_path: Path) -> None:
    file = tmp_path / "oven.yaml"
    file.write_text(
        """# What this file
# is for.

defaults:
  - fuel: gas # what heats,
    # and how
  - _self_
  - hydra: default

# Baking
degrees: 200 # in Celsius
mode: "fan # not top" # top or fan
trays: # by name
  upper: 2 # how many
    # and more
  lower: 1
recipe: |- # the text
  key: value # not a key

  # not a heading
secret: x
# Cleaning
soap: ???  # which
hydra:
  job:
    name: oven # no key of ours
"""
    )
    found = [(entry.name, entry.default, entry.text, entry.heading) for entry in documented(file)]
    assert found[0][:3] == ("fuel", "gas", "what heats, and how")
    assert found[1:] == [
        ("degrees", "200", "in Celsius", "Baking"),
        ("mode", '"fan # not top"', "top or fan", "Baking"),
        ("trays", "", "by name", "Baking"),
        ("trays.upper", "2", "how many and more", "Baking"),
        ("trays.lower", "1", "", "Baking"),
        ("recipe", "", "the text", "Baking"),
        ("secret", "x", "", "Baking"),
        ("soap", "???", "which", "Cleaning"),
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_key_and_group_of_a_command_is_described(command: str) -> None:
    file = CONFIG_DIR / f"{command}.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    entries = documented(file)
    keys = {entry.name: entry for entry in entries if not entry.is_group}
    groups = [entry for entry in entries if entry.is_group]
    # theory=null of extract.py stands there for the group of that name
    described = {name for name, entry in keys.items() if entry.text} | {group.name for group in groups}
    assert set(content) - {"defaults", "hydra"} <= described
    named = {group for entry in content["defaults"] if isinstance(entry, dict) for group in entry} - {"hydra"}
    assert {group.name for group in groups} == named
    assert all(group.text for group in groups)
    for name, entry in keys.items():
        node = content
        for part in name.split("."):
            node = node[part]
        if entry.default not in ("", "???"):
            assert yaml.safe_load(entry.default) == node, name


def test_the_reference_page_is_up_to_date() -> None:
    page = reference_page(list(COMMANDS))
    assert (ROOT / "docs" / "reference.md").read_text(encoding="utf-8") == page, "run `make reference`"
    for command in COMMANDS:
        assert f"## {command}.py" in page
    for option in group_options("judge"):
        assert option in page
