"""Hierarchies and definitions of the published code: theirs in our theories, and their files as they are."""

import json
from pathlib import Path

import pytest

from valueflow.run import InputError, compose_group
from valueflow.theory import load_theory, read_definitions, theory_from_file, theory_from_mapping

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "published"
NAMES = ["pvq", "mft", "duty", "right"]

needs_published = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published files are not there")


def parents_in_file(name: str) -> dict[str, set[str]]:
    """Return the parents of each name; the frame of the file, which it does not define, is none."""
    content = json.loads((PUBLISHED / "hierarchies" / f"{name}.json").read_text(encoding="utf-8"))
    parents: dict[str, set[str]] = {}
    for parent, children in content["hierarchy"].items():
        parents.setdefault(parent, set())
        for child in children:
            parents.setdefault(child, set()).add(parent)
    frame = {node for node in parents if node not in content["definitions"]}
    return {node: above - frame for node, above in parents.items() if node not in frame}


@needs_published
@pytest.mark.parametrize("name", NAMES)
def test_the_published_tree_has_the_published_names_and_parents(name: str) -> None:
    published = parents_in_file(name)
    theory = theory_from_mapping(compose_group("theory", name) | {"tree": "published"})
    ours = {node: set(theory.nodes[node].parents) for node in theory.nodes}
    assert ours == {theory.find(node): set(map(theory.find, above)) for node, above in published.items()}
    assert len(ours) == len(published)


@needs_published
@pytest.mark.parametrize("name", NAMES)
def test_our_own_tree_has_every_published_node_below_its_published_parents(name: str) -> None:
    theory = load_theory(name)
    for node, above in parents_in_file(name).items():
        found = theory.resolve(node)
        ancestors = {theory.root, *(each for path in theory.paths(found) for each in path)}
        assert {theory.resolve(parent) for parent in above} <= ancestors, node


@needs_published
@pytest.mark.parametrize("name", NAMES)
def test_a_published_file_is_read_as_it_is(name: str) -> None:
    theory = theory_from_file(PUBLISHED / "hierarchies" / f"{name}.json")
    content = json.loads((PUBLISHED / "hierarchies" / f"{name}.json").read_text(encoding="utf-8"))
    assert (theory.name, theory.values) == (name, load_theory(name).values)
    assert {node: set(its.parents) for node, its in theory.nodes.items()} == {
        theory.find(node): set(map(theory.find, above)) for node, above in parents_in_file(name).items()
    }
    for node in parents_in_file(name):
        assert theory.nodes[theory.resolve(node)].definition == content["definitions"][node].strip()


@needs_published
def test_published_definitions_take_the_place_of_ours() -> None:
    given = json.loads((PUBLISHED / "definitions" / "steering_pvq.json").read_text(encoding="utf-8"))
    pvq = read_definitions(PUBLISHED / "definitions" / "steering_pvq.json", load_theory("pvq"))
    assert pvq.nodes["caring"].definition == given["benevolence:caring"]
    every = json.loads((PUBLISHED / "definitions" / "all.json").read_text(encoding="utf-8"))["definitions"]
    pvq = read_definitions(PUBLISHED / "definitions" / "all.json", load_theory("pvq"))
    assert pvq.nodes["caring"].definition == every["benevolence:caring"]
    everything = read_definitions(PUBLISHED / "definitions" / "all.json", load_theory("mft"))
    own = load_theory("mft").nodes
    assert everything.nodes["binding"].definition == own["binding"].definition
    assert everything.nodes["patriotism"].definition != own["patriotism"].definition
    # Equal theories make equal fits: only definitions differ.
    assert {node: its.parents for node, its in everything.nodes.items()} == {
        node: its.parents for node, its in own.items()
    }


def test_no_definition_of_ours_is_a_published_one() -> None:
    if not PUBLISHED.is_dir():
        pytest.skip("the published files are not there")
    texts = json.loads((PUBLISHED / "definitions" / "all.json").read_text(encoding="utf-8"))["definitions"].values()
    published = {text.casefold().strip(" .") for text in texts}
    for name in NAMES:
        for node_id, node in load_theory(name).nodes.items():
            assert node.definition.casefold().strip(" .") not in published, node_id


@pytest.mark.parametrize(
    ("theory", "name", "node"),
    [
        ("pvq", "benevolence:caring", "caring"),
        ("pvq", "Self-Direction: Thought", "self-direction-thought"),
        ("mft", "loyalty/betrayal: group allegiance", "group-allegiance"),
        ("right", "group_solidarity_rights", "social_group_solidarity_rights"),
        # Names of nodes before they got the published ones.
        ("right", "right_to_fair_pay", "right_to_fair_wages"),
        ("right", "freedom of religion", "freedom_of_thought_conscience_religion"),
    ],
)
def test_published_and_older_names_are_understood(theory: str, name: str, node: str) -> None:
    assert load_theory(theory).resolve(name) == node


def test_what_stands_for_the_whole_theory_has_no_level() -> None:
    right = load_theory("right")
    assert right.top == ("individual_rights", "collective_rights")
    assert right.paths("civil_rights") == (("individual_rights", "first_generation", "civil_rights"),)
    assert right.resolve("human rights") == "human_rights"
    published = theory_from_mapping(compose_group("theory", "right") | {"tree": "published"})
    assert published.top == ("first_generation", "second_generation", "third_generation")
    assert published.depth == 3


HARBOR = {
    "hierarchy": {"sea": ["rescue/neglect", "calm"], "rescue/neglect": ["towing: by night"]},
    "definitions": {
        "rescue/neglect": "Turning round for anyone in distress.",
        "rescue_neglect": "Turning round for anyone in distress.",
        "calm": ["Keeping one's head in a storm.", "Not shouting."],
        "towing: by night": "Towing in the dark.",
    },
}


def written(folder: Path, content: object, name: str = "harbor code.json") -> Path:
    file = folder / name
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def test_a_theory_of_another_name_has_ids_of_its_own(tmp_path: Path) -> None:
    theory = theory_from_file(written(tmp_path, HARBOR))
    assert theory.name == "harbor-code"
    assert list(theory.nodes) == ["rescue-neglect", "calm", "towing-by-night"]
    assert theory.values == tuple(theory.nodes)
    assert theory.top == ("rescue-neglect", "calm")
    assert theory.nodes["calm"].definition == "Keeping one's head in a storm."
    assert theory.nodes["rescue-neglect"].label == "rescue/neglect"
    whole = {**HARBOR, "definitions": {**HARBOR["definitions"], "sea": "All that holds at sea."}}
    assert theory_from_file(written(tmp_path, whole)).root == "sea"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "holds no 'hierarchy'"),
        ({"hierarchy": {"a": "b"}}, "hierarchy.a must be a list of names"),
        ({"hierarchy": {"a": ["b", "c"]}, "definitions": {"b": "B."}}, "'c' has no definition"),
        ({"hierarchy": {"a": ["b", "c"]}, "definitions": {"b": 3}}, "the definition of 'b' must be a text"),
        (
            {"hierarchy": {"a": ["b"], "b": ["a"]}, "definitions": {"a": "A.", "b": "B."}},
            "the hierarchy has a cycle",
        ),
    ],
)
def test_a_file_that_is_no_theory_is_told_in_one_line(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        theory_from_file(written(tmp_path, content))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_definitions_of_no_node_or_two_of_one_are_refused(tmp_path: Path) -> None:
    duty = load_theory("duty")
    with pytest.raises(InputError, match="defines no node of theory 'duty'"):
        read_definitions(written(tmp_path, {"thrift": "Saving."}), duty)
    with pytest.raises(InputError, match="'justice' and 'Justice' are one node of duty, defined differently"):
        read_definitions(written(tmp_path, {"justice": "One.", "Justice": "Two."}), duty)


def test_of_two_names_of_a_node_the_fuller_counts(tmp_path: Path) -> None:
    given = {"caring": "Of another theory.", "benevolence:caring": "Ours.", "Benevolence caring": "Ours."}
    for names in (list(given), list(given)[::-1]):
        file = written(tmp_path, {"definitions": {name: given[name] for name in names}})
        assert read_definitions(file, load_theory("pvq")).nodes["caring"].definition == "Ours."


def test_an_alias_that_names_another_node_is_refused() -> None:
    fields = compose_group("theory", "duty")
    fields["nodes"]["fidelity"]["aliases"] = ["Justice"]
    with pytest.raises(InputError, match="the alias 'Justice' of 'fidelity' also names 'justice'"):
        theory_from_mapping(fields)
