"""What settings that name a theory share."""

from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from valueflow.run import Settings
from valueflow.theory.hierarchy import Theory
from valueflow.theory.library import theory_of


class TheorySettings(Settings):
    """Settings with a theory, which a composed configuration gives by its fields.

    Where several are given (`theory=any`), the one that has `value`, or the first of `values`, is taken.
    """

    theory: Theory

    @model_validator(mode="before")
    @classmethod
    def _find_theory(cls, given: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(given.get("theory"), Mapping):
            return given
        several = given.get("values")
        named = [given.get("value"), *(several if isinstance(several, list | tuple) else ())]
        return given | {"theory": theory_of(given["theory"], next((name for name in named if name is not None), None))}
