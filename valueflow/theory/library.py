"""Theories by name: every YAML file of the config group `theory`."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError

from valueflow.run import InputError, compose_group, first_fault, group_options, nearest
from valueflow.theory.hierarchy import Theory


def theory_from_mapping(fields: Mapping[str, Any]) -> Theory:
    """Check the fields of a theory's YAML file.

    Raises
    ------
    InputError
        A field is missing or unknown, or the hierarchy is not a DAG of defined nodes.
    """
    try:
        return Theory.model_validate(dict(fields))
    except ValidationError as error:
        raise InputError(f"theory '{fields.get('name', '?')}': {first_fault(error, Theory)}") from error


@cache
def load_theory(name: str) -> Theory:
    """Return the packaged theory of this name (`rights` is `right`).

    Raises
    ------
    InputError
        There is none; the message gives the nearest name.
    """
    return theory_from_mapping(compose_group("theory", name))


@cache
def find_theory(name: str) -> Theory | None:
    """Return the packaged theory of this name in any spelling, or None."""
    option = name.strip().lower()
    if option not in group_options("theory"):
        return None
    fields = compose_group("theory", option)
    return theory_from_mapping(fields) if "name" in fields else None


@cache
def known_theories() -> tuple[Theory, ...]:
    """Return all packaged theories, each once, by name."""
    fields = (compose_group("theory", option) for option in group_options("theory"))
    # A collection such as theory=any has no name of its own.
    theories = {theory["name"]: theory_from_mapping(theory) for theory in fields if "name" in theory}
    return tuple(theories[name] for name in sorted(theories))


def choose_theory(candidates: Mapping[str, Mapping[str, Any]], value: str) -> Theory:
    """Return the one of several theories that has a value (`theory=any`).

    Parameters
    ----------
    candidates
        Fields of each theory, by any key.
    value
        What the user named. A value that a theory evaluates goes before a node elsewhere in another's hierarchy.

    Raises
    ------
    InputError
        None of them has it, or several have.
    """
    theories = [theory_from_mapping(fields) for fields in candidates.values()]
    holders = [theory for theory in theories if theory.find(value) in theory.values] or [
        theory for theory in theories if theory.find(value)
    ]
    if len(holders) == 1:
        return holders[0]
    if holders:
        raise InputError(
            f"value '{value}' is in {' and '.join(theory.name for theory in holders)}; say which: theory=..."
        )
    known = [known_value for theory in theories for known_value in theory.values]
    raise InputError(f"value '{value}' is in no theory; {nearest(value, known)}")


def theory_of(fields: Mapping[str, Any], value: object) -> Theory:
    """Return the theory that a composed `theory` node means: one theory, or of several the one that has a value.

    Raises
    ------
    InputError
        The node is no valid theory, or it is a collection and no value, or one of none or several, is named.
    """
    if "name" in fields:
        return theory_from_mapping(fields)
    if value is None:
        raise InputError("theory=any finds the theory of a value, and none is named; give the theory: theory=pvq")
    return choose_theory(fields, str(value))
