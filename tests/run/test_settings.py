"""Typed settings: what is wrong is told in one line, with what would be right."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError, field_validator

from valueflow.run import InputError, Settings, SettingsByTask, built_as, known_columns


class Oven(Settings):
    degrees: int = Field(ge=30, le=300)
    mode: Literal["top", "fan"] = "fan"
    dish: str = "bread"
    trays: dict[str, int] = Field(default={})

    @field_validator("dish")
    @classmethod
    def _bakes(cls, dish: str) -> str:
        if dish == "soup":
            raise ValueError("is no baking")
        return dish


def test_settings_are_checked_and_cannot_be_changed() -> None:
    oven = Oven.checked({"degrees": 200, "trays": {"upper": 2}})
    assert (oven.degrees, oven.mode, oven.trays) == (200, "fan", {"upper": 2})
    with pytest.raises(ValidationError):
        oven.degrees = 100  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"degrees": 200, "degress": 1},
            "unknown setting 'degress'; did you mean 'degrees'? Known: degrees, mode, dish, t",
        ),
        ({}, "'degrees' is missing"),
        ({"degrees": 400}, "degrees=400: input should be less than or equal to 300"),
        ({"degrees": "warm"}, "degrees=warm: input should be a valid integer"),
        ({"degrees": 200, "mode": "low"}, "mode=low: input should be 'top' or 'fan'"),
        ({"degrees": 200, "dish": "soup"}, "dish: is no baking"),
        ({"degrees": 200, "trays": {"upper": "many"}}, "trays.upper=many: input should be a valid integer"),
    ],
)
def test_the_first_fault_is_told(given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Oven.checked(given)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("hostile", ["a\nb\rc", "x" * 100_000, "{[\x00", "\u2028"])
def test_hostile_settings_are_told_in_one_line(hostile: str) -> None:
    for given in ({"degrees": hostile}, {"degrees": 200, hostile: 1}, {"degrees": 200, "mode": hostile}):
        with pytest.raises(InputError) as caught:
            Oven.checked(given)
        assert len(str(caught.value).splitlines()) == 1


class Kitchen(Settings):
    oven: Annotated[Any, built_as(lambda oven: hasattr(oven, "numerator"), "an oven (an object with `numerator`)")]
    columns: Annotated[dict[str, str], known_columns("text", "mark")] = Field(default={})


def test_an_object_is_built_of_its_node_and_checked() -> None:
    node = {"_target_": "fractions.Fraction", "numerator": 1, "denominator": 2}
    assert Kitchen.checked({"oven": node}).oven == 0.5
    assert Kitchen.checked({"oven": 3}).oven == 3
    with pytest.raises(InputError, match=r"^oven: is not an oven \(an object with `numerator`\)$"):
        Kitchen.checked({"oven": "cold"})


def test_only_our_own_columns_are_mapped() -> None:
    assert Kitchen.checked({"oven": 1, "columns": {"mark": "m"}}).columns == {"mark": "m"}
    with pytest.raises(InputError, match="^columns: unknown column 'txt'; did you mean 'text'"):
        Kitchen.checked({"oven": 1, "columns": {"txt": "body"}})


class Freezer(Settings):
    task: Literal["freeze"]
    degrees: int = Field(le=0)


class Bakery(Settings):
    task: Literal["bake"]
    degrees: int = Field(ge=30)
    mode: Literal["top", "fan"] = "fan"


def test_settings_of_several_tasks_are_those_of_the_one_asked_for() -> None:
    kitchen = SettingsByTask({"bake": Bakery, "freeze": Freezer})
    assert set(kitchen.model_fields) == {"task", "degrees", "mode"}
    assert kitchen.checked({"task": "bake", "degrees": 200, "mode": "top"}) == Bakery(
        task="bake", degrees=200, mode="top"
    )
    # What belongs to another task alone is left aside, also where it could not be.
    assert kitchen.checked({"task": "freeze", "degrees": -5, "mode": "steam"}) == Freezer(task="freeze", degrees=-5)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"task": "bakee", "degrees": 200}, "task=bakee: unknown; did you mean 'bake'?"),
        ({"degrees": 200}, "task=None: unknown"),
        ({"task": "bake", "degres": 200}, "unknown setting 'degres'; did you mean 'degrees'?"),
        ({"task": "bake", "degrees": 2}, "degrees=2: input should be greater than or equal to 30"),
    ],
)
def test_a_task_or_key_that_is_not_there_is_told(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        SettingsByTask({"bake": Bakery, "freeze": Freezer}).checked(given)
    assert told in str(caught.value)
