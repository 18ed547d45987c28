"""`extract.py` from settings to an outcome, by task."""

from pathlib import Path
from typing import Any

from valueflow.extraction.display import show_extractions
from valueflow.extraction.judging import UTILITIES_FILE, JudgingSettings, Utilities, judge_file, show_judgings
from valueflow.extraction.outcome import VECTOR_FILES, Embeddings
from valueflow.extraction.settings import ExtractionSettings
from valueflow.extraction.vector_files import embed_file
from valueflow.geometry import GEOMETRY_OUTPUTS, Geometry, GeometrySettings, find_geometry, show_geometries
from valueflow.profiling import PROFILE_OUTPUTS, Profiles, ProfileSettings, find_profiles, show_profiles
from valueflow.run import InputError, Run, SettingsByTask, SweepView, Task


def extract(*, output_dir: str | Path | None = None, **settings: Any) -> Embeddings:
    """Embed the texts of a file, of any length, into one NPZ file per theory.

    The file is read three times, some thousand rows at a time: to check and count, to embed, to store the texts. So
    memory does not grow with it, and what cannot be used is reported before the first text is embedded.

    Parameters
    ----------
    output_dir
        Folder for `embedding_{theory}.npz` and `summary.json`. Those of an earlier run are replaced once all
        is done.
    **settings
        Fields of `ExtractionSettings`, the same as on the command line; what is not given has the default of
        `configs/extract.yaml`. `model` takes a loaded SentenceTransformer, too.

    Returns
    -------
    Embeddings

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.

    Notes
    -----
    Several `devices` are processes of their own, so a script that uses them must start under
    `if __name__ == "__main__":`.

    Examples
    --------
    >>> result = extract(input="texts.csv", theory="pvq", output_dir="vectors")  # doctest: +SKIP
    >>> np.load(result.files["pvq"])["embeddings"].shape  # doctest: +SKIP
    """
    others = {
        "profile": "profile to find values",
        "geometry": "value_geometry to compare vectors",
        "judge": "judge_texts to judge them",
    }
    if settings.get("task") in others:
        raise InputError(f"task={settings['task']}: extract embeds texts; call {others[settings['task']]}")
    outcome = TASK.call({"task": "embed", **settings}, output_dir)
    assert isinstance(outcome, Embeddings)
    return outcome


def judge_texts(*, output_dir: str | Path | None = None, **settings: Any) -> Utilities:
    """Give every text of a file, of any length, its utility on values, by a judge that reads texts one by one.

    The file is read twice, some thousand rows at a time: to check and count, and to judge. So memory does not grow with
    it, and what cannot be used is reported before the first text is judged.

    Parameters
    ----------
    output_dir
        Folder for `utilities.parquet` and `summary.json`. Those of an earlier run are replaced once all is done.
    **settings
        Fields of `JudgingSettings`, the same as on the command line; what is not given has the default of
        `configs/extract.yaml`. `judge` takes the name of an option or a judge; engine="ray" takes a name.

    Returns
    -------
    Utilities

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.

    Examples
    --------
    >>> found = judge_texts(input="texts.csv", theory="pvq", output_dir="judged")  # doctest: +SKIP
    >>> pandas.read_parquet(found.file)["benevolence_utility"]  # doctest: +SKIP
    """
    outcome = TASK.call({**settings, "task": "judge"}, output_dir)
    assert isinstance(outcome, Utilities)
    return outcome


def profile(*, output_dir: str | Path | None = None, **settings: Any) -> Profiles:
    """Find the values of persons, groups or models by what they say or answer.

    Parameters
    ----------
    output_dir
        Folder for `profiles.csv`, the JSON profiles, pictures and `summary.json`, where they replace an earlier run's;
        None writes nothing.
    **settings
        Fields of `ProfileSettings`, the same as on the command line; what is not given has the default of
        `configs/extract.yaml`. One of `input`, `survey` and `responses` must be given. `theory`, `relevance`,
        `normalization`, `sampling` and `judge` take the name of an option or an object.

    Returns
    -------
    Profiles
        Its `table` has a row per group and value.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.

    Examples
    --------
    >>> found = profile(survey="demo", output_dir="profiles")  # doctest: +SKIP
    >>> found.table.query("differs")[["group", "value", "difference"]]  # doctest: +SKIP
    """
    outcome = TASK.call({**settings, "task": "profile"}, output_dir)
    assert isinstance(outcome, Profiles)
    return outcome


def value_geometry(*, output_dir: str | Path | None = None, **settings: Any) -> Geometry:
    """Compare the vectors of a theory's values with one another, and their distances with the theory's.

    Parameters
    ----------
    output_dir
        Folder for `geometry.csv`, `cosines.csv`, the picture and `summary.json`, where they replace an earlier run's;
        None writes nothing.
    **settings
        Fields of `GeometrySettings`, the same as on the command line; what is not given has the default of
        `configs/extract.yaml`.

    Returns
    -------
    Geometry
        Its `table` has a row per value, its `pairs` one per pair of values.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.

    Examples
    --------
    >>> found = value_geometry(theory="pvq", vectors="vectors.safetensors")  # doctest: +SKIP
    >>> found.summary["correlation"], found.summary["p"]  # doctest: +SKIP
    """
    outcome = TASK.call({**settings, "task": "geometry"}, output_dir)
    assert isinstance(outcome, Geometry)
    return outcome


def _run(
    settings: ExtractionSettings | JudgingSettings | ProfileSettings | GeometrySettings, run: Run
) -> Embeddings | Utilities | Profiles | Geometry:
    match settings:
        case JudgingSettings():
            return judge_file(settings, run)
        case ProfileSettings():
            run.share.refuse("task=profile compares groups by all their texts; run it whole")
            return find_profiles(settings, run)
        case GeometrySettings():
            run.share.refuse("task=geometry compares all values with one another; run it whole")
            return find_geometry(settings, run)
    return embed_file(settings, run)


TASK = Task(
    name="extract",
    settings=SettingsByTask(
        {
            "embed": ExtractionSettings,
            "judge": JudgingSettings,
            "profile": ProfileSettings,
            "geometry": GeometrySettings,
        }
    ),
    run=_run,
    outputs=(VECTOR_FILES, UTILITIES_FILE, *PROFILE_OUTPUTS, *GEOMETRY_OUTPUTS),
    sweep=(
        SweepView(show_extractions, ("theory",), kind="embed"),
        SweepView(show_judgings, ("theory",), kind="judge"),
        SweepView(show_profiles, ("theory",), kind="profile"),
        SweepView(show_geometries, ("theory",), kind="geometry"),
    ),
    divides=True,
)
