"""A calibration: what anchors scored as responses told of a judge, kept in a file for later runs of the same judge."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from valueflow.evaluation.judges import JudgeFit
from valueflow.evaluation.settings import EvaluationSettings
from valueflow.run import InputError, plain, shorten
from valueflow.vidb import Anchors, FixedSampling, Vidb

FORMAT = "valueflow calibration 1"

_LONGEST_SHOWN = 80
_ABSENT = "nothing"


@dataclass(frozen=True)
class Conditions:
    """What must be equal for a calibration to hold: the judge, what it judges by, and the windows it sees.

    Attributes
    ----------
    theory, value
        Ids.
    judge
        What identifies the judge, its prompt included.
    vidb_sha256
        Of all anchors; an embedding judge learns from all of them.
    k, sampling, response_position
        How windows are drawn. How many there are of each text does not matter.
    """

    theory: str
    value: str
    judge: Mapping[str, Any]
    vidb_sha256: str
    k: int
    sampling: Mapping[str, Any]
    response_position: str

    @classmethod
    def of(cls, settings: EvaluationSettings, value: str, vidb: Vidb) -> Self:
        """Return the conditions of a run."""
        return cls(
            theory=settings.theory.name,
            value=value,
            judge=plain(settings.judge.describe()),
            vidb_sha256=vidb.digest,
            k=settings.k,
            sampling=_sampling(settings, vidb.of(settings.theory, value)),
            response_position=settings.response_position,
        )


@dataclass(frozen=True)
class Calibration:
    """A calibration as a run uses it.

    Attributes
    ----------
    file
        Where it was read.
    conditions
        Under which it was made.
    misreading_sd
        Points, of each judge by name: how far it misreads texts, always in the same way.
    anchors, m
        Anchors scored for it, and windows of each.
    """

    file: str
    conditions: Conditions
    misreading_sd: Mapping[str, float]
    anchors: int
    m: int

    def check(self, conditions: Conditions) -> None:
        """Refuse a run whose conditions differ.

        Raises
        ------
        InputError
            They do; the message names the first one that does, with both values.
        """
        for field in fields(Conditions):
            there, here = getattr(self.conditions, field.name), getattr(conditions, field.name)
            found = _first_difference(field.name, there, here)
            if found is not None:
                name, before, now = found
                raise InputError(
                    f"calibration={self.file} was made with {name}={_shown(before)}, this run has {_shown(now)}; "
                    "calibrate again with task=calibrate and the settings of this run"
                )

    def apply(self, fits: Sequence[JudgeFit], names: Sequence[str]) -> tuple[JudgeFit, ...]:
        """Return what is known of judges, by name, with this misreading of texts in place of their own estimates.

        All else, such as beta and the rate of lapses, is what their own windows tell.
        """
        return with_misreading(fits, names, self.misreading_sd)

    def summary(self) -> dict[str, object]:
        """Return what a run's summary says of it."""
        return {"file": self.file, "misreading_sd": dict(self.misreading_sd), "anchors": self.anchors, "m": self.m}


def with_misreading(
    fits: Sequence[JudgeFit], names: Sequence[str], misreading_sd: Mapping[str, float]
) -> tuple[JudgeFit, ...]:
    """Return what is known of judges with another misreading of texts, in points by name; the others' stays."""
    return tuple(
        replace(fit, reliability=replace(fit.reliability, text_misreading_sd=misreading_sd[name]))
        if name in misreading_sd
        else fit
        for fit, name in zip(fits, names, strict=True)
    )


def read_calibration(file: str) -> Calibration:
    """Read a calibration.

    Raises
    ------
    InputError
        The file is absent, no whole calibration, or one of a judge that is not shown to order the anchors.
    """
    where = f"calibration={file}"
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{where}: {error.strerror or error}; give a calibration.json of task=calibrate") from None
    except (ValueError, RecursionError):
        raise InputError(f"{where} is not JSON; give a calibration.json of task=calibrate") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{where} is no calibration ('format' is not '{FORMAT}'); give a calibration.json")
    try:
        conditions = Conditions(**{field.name: content[field.name] for field in fields(Conditions)})
        records = [
            (str(judge["name"]), judge["misreading_sd"], judge["reliability"]["order_z"]) for judge in content["judges"]
        ]
        calibration = Calibration(
            file=file,
            conditions=conditions,
            misreading_sd={name: _checked_sd(sd) for name, sd, _ in records if sd is not None},
            anchors=int(content["anchors"]),
            m=int(content["m"]),
        )
    except KeyError as error:
        raise InputError(f"{where} is damaged: {error} is missing; calibrate again with task=calibrate") from None
    except (TypeError, ValueError, AttributeError):
        raise InputError(f"{where} is damaged; calibrate again with task=calibrate") from None
    if not calibration.misreading_sd:
        zs = ", ".join("-" if z is None else f"{z:.1f}" for _, _, z in records)
        raise InputError(
            f"{where} holds no misreading sd: its judge is not shown to order the anchors (z {zs}), or ranked none"
        )
    return calibration


def calibration_record(
    conditions: Conditions, settings: EvaluationSettings, anchors: int, judges: Sequence[Mapping[str, object]]
) -> dict[str, object]:
    """Return the content of a calibration file, but for the figures of the anchors' scores."""
    return {
        "format": FORMAT,
        **asdict(conditions),
        "m": settings.m,
        "anchors": anchors,
        "seed": settings.seed,
        "settings": settings.model_dump(include={"estimator", "point", "solver", "iter", "lr", "judge_check"}),
        "judges": list(judges),
    }


def _checked_sd(found: Any) -> float:
    sd = float(found)
    if not (np.isfinite(sd) and sd >= 0):
        raise ValueError("a standard deviation is finite and not below zero")
    return sd


def _sampling(settings: EvaluationSettings, anchors: Anchors) -> dict[str, object]:
    """Return what identifies a sampling method: its name, its settings, and the texts that always the same means."""
    method = settings.sampling
    if isinstance(method, FixedSampling):
        listed = method.draw(anchors, np.zeros((1, settings.k - 1)))[0]
        return {"method": "FixedSampling", "texts": anchors.texts[listed].tolist()}
    return {"method": type(method).__name__, **plain(getattr(method, "__dict__", {}))}


def _first_difference(name: str, before: Any, now: Any) -> tuple[str, Any, Any] | None:
    """Return the name of the first entry, at any depth, that differs, with both values."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in (*before, *(key for key in now if key not in before)):
            found = _first_difference(f"{name}.{key}", before.get(key, _ABSENT), now.get(key, _ABSENT))
            if found is not None:
                return found
        return None
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True), start=1)
        return next((found for place, pair in pairs if (found := _first_difference(f"{name}.{place}", *pair))), None)
    return None if before == now else (name, before, now)


def _shown(entry: Any) -> str:
    return shorten(entry if isinstance(entry, str) else json.dumps(entry, ensure_ascii=False), _LONGEST_SHOWN)
