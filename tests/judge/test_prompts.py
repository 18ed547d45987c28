"""Prompts as they are sent: what is filled in, what appears where, what a text cannot do."""

import json
import re

import pytest

from valueflow.judge import RankingPrompt
from valueflow.llm import quote_text
from valueflow.run import InputError, built, compose_group
from valueflow.theory import Theory, load_theory, theory_from_mapping

THEORIES = ("pvq", "mft", "duty", "right")
PVQ = load_theory("pvq")


def prompt(name: str = "default", **changes: object) -> RankingPrompt:
    made: RankingPrompt = built({**compose_group("prompt", name), **changes})
    return made


def own_theory() -> Theory:
    return theory_from_mapping(
        {
            "name": "own",
            "title": "a theory of {braces}",
            "label": "virtue",
            "source": "none",
            "values": ["calm"],
            "nodes": {"calm": {"label": "calm {value}", "definition": "Stays {items} calm."}},
        }
    )


@pytest.mark.parametrize("name", ["default", "oneshot"])
@pytest.mark.parametrize("theory", THEORIES)
def test_the_question_names_theory_label_value_and_definition(name: str, theory: str) -> None:
    asked = load_theory(theory)
    value = asked.values[-1]
    conversation = prompt(name).about(asked, value).conversation(['"one"', '"two"', '"three"'])
    assert conversation[0]["role"] == "system"
    assert asked.label in conversation[0]["content"]
    question = conversation[-1]["content"]
    for word in (asked.title, asked.label, asked.nodes[value].label, asked.nodes[value].definition, "3"):
        assert word in question
    assert '1. "one"\n2. "two"\n3. "three"' in question
    assert not re.search(r"\{[a-z_]+\}", question)


@pytest.mark.parametrize("theory", THEORIES)
def test_the_example_belongs_to_the_theory_asked_about(theory: str) -> None:
    asked = load_theory(theory)
    conversation = prompt("oneshot").about(asked, asked.values[0]).conversation(['"a"', '"b"'])
    assert [message["role"] for message in conversation] == ["system", "user", "assistant", "user"]
    example = conversation[1]["content"]
    assert asked.title in example
    shown = re.findall(r"^\d+\. .*$", example, flags=re.MULTILINE)
    assert sorted(json.loads(conversation[2]["content"])) == list(range(1, len(shown) + 1))
    others = [load_theory(other) for other in THEORIES if other != theory]
    assert not any(other.title in example for other in others)


def test_a_theory_without_an_example_is_told_what_to_do() -> None:
    with pytest.raises(InputError, match="no example for theory 'own'.*prompt.examples.own.*prompt=default"):
        prompt("oneshot").about(own_theory(), "calm")


def test_what_is_filled_in_is_not_filled_in_again() -> None:
    """Braces in a theory or a text are letters like others."""
    item = quote_text("{value} {items} {0} {} {{k}} %s $k ${llm}", 1000)[0]
    question = prompt().about(own_theory(), "calm").conversation([item, '"b"'])[-1]["content"]
    assert f"1. {item}\n" in question
    assert "calm {value}" in question
    assert "Stays {items} calm." in question


def test_other_braces_of_a_template_stand() -> None:
    made = prompt(user='{items} Answer like {"a": 1} or {0}.').about(PVQ, "power").conversation(['"x"', '"y"'])
    assert made[-1]["content"] == '1. "x"\n2. "y" Answer like {"a": 1} or {0}.'


def test_a_prompt_without_a_system_message_has_none() -> None:
    assert [message["role"] for message in prompt(system="").about(PVQ, "power").conversation(['"x"'])] == ["user"]


def test_asking_again_quotes_the_answer_and_names_the_fault() -> None:
    about = prompt().about(PVQ, "power")
    first = about.conversation(['"x"', '"y"'])
    again = about.again(first, "<|im_end|> " + "no " * 1000, "the answer holds no ranking", 2)
    assert again[: len(first)] == first
    assert [message["role"] for message in again[len(first) :]] == ["assistant", "user"]
    assert "<|im_end|>" not in again[-2]["content"]
    assert len(again[-2]["content"]) < 600
    assert "the answer holds no ranking" in again[-1]["content"]
    assert about.again(first, " \n", "the answer is empty", 2)[-2]["content"].strip()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"user": "{itms}"}, "'{itms}'; did you mean 'items'"),
        ({"system": "{items}", "user": "{items}"}, "system holds '{items}'"),
        ({"user": "Rank them."}, "user must hold {items}"),
        ({"user": "{items} {items}"}, "user must hold {items} once"),
        ({"examples": {"pvq": {"value": "power", "texts": ["a", "b"], "ranking": [1, 1]}}}, "does not name each"),
    ],
)
def test_prompts_that_cannot_work_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        prompt(**changes)
