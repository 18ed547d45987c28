"""The one door of this room, for the command line and for Python alike."""

import os
from pathlib import Path
from typing import Any

from valueflow.run.config import compose_settings
from valueflow.steering.opinionqa.survey import SurveyAnswers, answer_survey
from valueflow.steering.pipeline import SteeredResponses, steer_responses
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
    given = {key: os.fspath(entry) if isinstance(entry, os.PathLike) else entry for key, entry in settings.items()}
    if SteeringSettings.model_fields.keys() - given.keys():
        given = compose_settings("steer", given)
    checked = SteeringSettings.checked(given)
    result = answer_survey(checked) if checked.preset is not None else steer_responses(checked)
    if output_dir is not None:
        result.write(Path(output_dir))
    return result
