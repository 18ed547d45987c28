"""The one door of this room, for the command line and for Python alike."""

import os
from pathlib import Path
from typing import Any

from valueflow.evaluation.responses import RESPONSES_FILE
from valueflow.run.config import compose_settings
from valueflow.run.summary import SUMMARY_FILE
from valueflow.steering.opinionqa.survey import (
    ACCURACY_FILE,
    DETAILS_FILE,
    RELEVANCE_FILE,
    SurveyAnswers,
    answer_survey,
)
from valueflow.steering.pipeline import FAILURES_FILE, SteeredResponses, steer_responses
from valueflow.steering.settings import SteeringSettings


def steer(*, output_dir: str | Path | None = None, **settings: Any) -> SteeredResponses | SurveyAnswers:
    """Ask a model queries under a steering prompt or, with a preset, a survey in the place of demographic groups.

    Parameters
    ----------
    output_dir
        Folder for the tables and `summary.json`; None writes nothing.
    **settings
        Fields of `SteeringSettings`, the same as on the command line; what is not given has the default of
        `configs/steer.yaml`. `theory`, `steering`, `llm`, `preset` and `opinionqa` take the name of an option, and
        all but `preset` also an object; a dotted key (`opinionqa.questions`) sets one of an option's own.

    Returns
    -------
    SteeredResponses or SurveyAnswers
        The latter with a preset.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.

    Examples
    --------
    >>> result = steer(value="benevolence", intensity=2, llm="smollm2", limit=3)  # doctest: +SKIP
    >>> result.responses["response"]  # doctest: +SKIP
    """
    given = {key: _plain(entry) for key, entry in settings.items()}
    if SteeringSettings.model_fields.keys() - given.keys():
        given = compose_settings("steer", given)
    checked = SteeringSettings.checked(given)
    result = answer_survey(checked) if checked.preset is not None else steer_responses(checked)
    if output_dir is not None:
        folder = Path(output_dir)
        # Nothing of an earlier run may stand beside the new tables; its summary goes first, so that a run which is
        # interrupted here does not count as finished.
        for name in (SUMMARY_FILE, RESPONSES_FILE, FAILURES_FILE, DETAILS_FILE, ACCURACY_FILE, RELEVANCE_FILE):
            (folder / name).unlink(missing_ok=True)
        result.write(folder)
    return result


def _plain(entry: Any) -> Any:
    """Turn paths into texts, also those in a list."""
    if isinstance(entry, list | tuple):
        return [_plain(part) for part in entry]
    return os.fspath(entry) if isinstance(entry, os.PathLike) else entry
