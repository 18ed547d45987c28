"""Typed settings: what is wrong is told in one line, with what would be right."""

from typing import Literal

import pytest
from pydantic import Field, ValidationError, field_validator

from valueflow.run.errors import InputError
from valueflow.run.settings import Settings


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
            "'degress' is no setting; did you mean 'degrees'? Known: degrees, mode, dish, t",
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
