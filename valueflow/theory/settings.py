"""What settings that name a theory share."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import model_validator

from valueflow.run import Settings
from valueflow.theory.files import read_definitions, theory_from_file
from valueflow.theory.hierarchy import Theory
from valueflow.theory.library import theory_of


class TheorySettings(Settings):
    """Settings with a theory, which a composed configuration gives by its fields, or by a file.

    Where several are given (`theory=any`), the one that has `value`, or the first of `values`, is taken. With
    `definitions`, its nodes are defined as a file says.
    """

    theory: Theory
    definitions: str | None

    @model_validator(mode="before")
    @classmethod
    def _find_theory(cls, given: dict[str, Any]) -> dict[str, Any]:
        fields = given.get("theory")
        if not isinstance(fields, Mapping):
            return given
        if "file" in fields and "name" not in fields:
            return given | {"theory": theory_from_file(str(fields["file"]))}
        several = given.get("values")
        named = [given.get("value"), *(several if isinstance(several, list | tuple) else ())]
        return given | {"theory": theory_of(fields, next((name for name in named if name is not None), None))}

    @model_validator(mode="after")
    def _define(self) -> Self:
        if self.definitions is not None:
            # The settings are frozen for those who read them; here they are completed.
            object.__setattr__(self, "theory", read_definitions(self.definitions, self.theory))
        return self
