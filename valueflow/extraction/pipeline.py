"""`extract.py` from settings to an outcome, by task; a file of texts in, a file of vectors for each theory out."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt

from valueflow.encoder import model_source
from valueflow.extraction.display import show_extractions
from valueflow.extraction.embedding import Embedder, Encoding, embedder
from valueflow.extraction.engines import RayEngine
from valueflow.extraction.joining import JoinedVectors, joined_vectors
from valueflow.extraction.npz import array_member, npz_file
from valueflow.extraction.outcome import VECTOR_FILES, Embeddings, file_of
from valueflow.extraction.ray_vectors import RayVectors
from valueflow.extraction.reading import Chunk, TextFile, own_chunks
from valueflow.extraction.settings import ExtractionSettings
from valueflow.geometry import GEOMETRY_OUTPUTS, Geometry, GeometrySettings, find_geometry, show_geometries
from valueflow.profiling import PROFILE_OUTPUTS, Profiles, ProfileSettings, find_profiles, show_profiles
from valueflow.run import InputError, Run, SettingsByTask, Share, SweepView, Task, Timings, nearest, progress_bar

MAX_BYTES_OF_TEXTS = 2 << 30
"""Size of a theory's array of texts at most: who loads it holds every text in memory as wide as the longest."""

_MAX_THEORIES = 100
"""Files written at once at most; a column with more names is hardly one of theories."""

_MAX_ROWS_NAMED = 20

_BLOCK_BYTES = 16 << 20
"""Texts are laid out as an array in blocks of about this size."""


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
    others = {"profile": "profile to find values", "geometry": "value_geometry to compare vectors"}
    if settings.get("task") in others:
        raise InputError(f"task={settings['task']}: extract embeds texts; call {others[settings['task']]}")
    outcome = TASK.call({"task": "embed", **settings}, output_dir)
    assert isinstance(outcome, Embeddings)
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
    settings: ExtractionSettings | ProfileSettings | GeometrySettings, run: Run
) -> Embeddings | Profiles | Geometry:
    match settings:
        case ProfileSettings():
            run.share.refuse("task=profile compares groups by all their texts; run it whole")
            return find_profiles(settings, run)
        case GeometrySettings():
            run.share.refuse("task=geometry compares all values with one another; run it whole")
            return find_geometry(settings, run)
    return _extract(settings, run)


def _extract(settings: ExtractionSettings, run: Run) -> Embeddings:
    folder = run.required_folder("files of vectors")
    if isinstance(settings.model, str):
        model_source(settings.model)  # a folder that is not there is reported before a long file is read
    if isinstance(settings.engine, RayEngine) and not run.share.merged:
        settings.engine.check()
    file = TextFile(settings.input, settings.input_columns, settings.theory, settings.rows_per_chunk, run.bad_rows)
    with run.stage("check"):
        tallies = _count(file, settings, run.share)
        run.share.check_rows()
        _check_sizes(tallies, settings)
    files = {theory: folder / file_of(theory) for theory in tallies}
    with ExitStack() as stack:
        with run.stage("load"):
            model = stack.enter_context(_vectors(settings, file, run.share))
        # A run that is interrupted where files take their places must not look finished.
        run.start_writing()
        archives = {theory: stack.enter_context(npz_file(path)) for theory, path in files.items()}
        with run.stage("embed"):
            _write_vectors(own_chunks(file, run.share), model, tallies, archives, show=settings.progress)
        with run.stage("texts"):
            _write_texts(own_chunks(file, run.share), tallies, archives)
    summary = _figures(settings, model, file.rows - run.share.rows, tallies, run.timings)
    return Embeddings(files=files, summary=summary)


@dataclass
class _Tally:
    """What is counted of a theory's texts, and what of them cannot be stored as it is.

    Attributes
    ----------
    longest, longest_row
        Characters of the longest text, and where it stands.
    width
        Characters of the longest text as it is stored; 1 at least.
    truncated, nul
        Texts that are stored truncated, and texts that lose the NUL characters at their end.
    not_finite, not_finite_rows
        Vectors that hold NaN or infinity, and the first rows they belong to.
    """

    texts: int = 0
    longest: int = 0
    longest_row: int = 0
    width: int = 1
    truncated: int = 0
    nul: int = 0
    not_finite: int = 0
    not_finite_rows: list[int] = field(default_factory=list)

    def add(self, text: str, row: int, most: int | None) -> None:
        """Count a text; `most` characters of it are stored."""
        self.texts += 1
        length = len(text)
        if length > self.longest:
            self.longest, self.longest_row = length, row
        if most is not None and length > most:
            self.truncated += 1
            text, length = text[:most], most
        elif text[-1] == "\0":
            self.nul += 1
        if length > self.width:
            self.width = max(self.width, len(text.rstrip("\0")))

    def add_not_finite(self, rows: Sequence[int]) -> None:
        """Count vectors that are not finite, by the rows of their texts."""
        self.not_finite += len(rows)
        self.not_finite_rows += rows[: _MAX_ROWS_NAMED - len(self.not_finite_rows)]


def _count(file: TextFile, settings: ExtractionSettings, share: Share) -> dict[str, _Tally]:
    """Read the file once: a tally a theory, in the order that they turn up."""
    tallies: dict[str, _Tally] = {}
    for chunk in own_chunks(file, share, counted=True):
        for text, theory, row in zip(chunk.texts, chunk.theories, chunk.rows, strict=True):
            if theory not in tallies:
                _check_new(theory, row, tallies, file)
                tallies[theory] = _Tally()
            tallies[theory].add(text, row, settings.max_characters)
    if not share.rows:
        near = nearest(str(settings.theory), file.other_theories)
        raise InputError(f"input: {file.path} has no row of theory '{settings.theory}'; {near}")
    return tallies


def _check_new(theory: str, row: int, tallies: Mapping[str, _Tally], file: TextFile) -> None:
    where = f"input: {file.path}, row {row}"
    # Their files would be one and the same on systems that ignore case.
    twin = next((other for other in tallies if other.casefold() == theory.casefold()), None)
    if twin is not None:
        raise InputError(f"{where}: theory '{theory}' is '{twin}' elsewhere; write it one way")
    if len(tallies) == _MAX_THEORIES:
        raise InputError(
            f"{where}: theory '{theory}' is one more than {_MAX_THEORIES}; is this the column of theories? Name it by "
            "input_columns.theory=..., or choose one theory by theory=..."
        )


def _check_sizes(tallies: Mapping[str, _Tally], settings: ExtractionSettings) -> None:
    for theory, tally in tallies.items():
        # A fixed-width array takes four bytes for each character of its longest text, for every text.
        size = 4 * tally.texts * tally.width
        if size > MAX_BYTES_OF_TEXTS:
            fitting = max(MAX_BYTES_OF_TEXTS // (4 * tally.texts), 1)
            raise InputError(
                f"input: {settings.input}, row {tally.longest_row}: of {tally.texts:,} texts of theory '{theory}' the "
                f"longest has {tally.longest:,} characters, so the array of texts would take {size / 2**30:.1f} GiB of "
                f"{MAX_BYTES_OF_TEXTS / 2**30:g} at most; give max_characters={fitting} (texts are embedded whole and "
                "stored truncated)"
            )


def _write_vectors(
    chunks: Iterator[Chunk],
    model: Embedder | JoinedVectors | RayVectors,
    tallies: Mapping[str, _Tally],
    archives: Mapping[str, ZipFile],
    *,
    show: bool,
) -> None:
    """Embed the texts of all theories together, and append each vector to its theory's array."""
    n = sum(tally.texts for tally in tallies.values())
    with ExitStack() as stack, progress_bar("embedding", n, "texts", enabled=show) as progress:
        appends = {
            theory: stack.enter_context(
                array_member(archives[theory], "embeddings", (tally.texts, model.dimension), "<f4")
            )
            for theory, tally in tallies.items()
        }
        for chunk in chunks:
            vectors = model.embed(chunk, lambda done: progress(done, 0))
            finite = np.logical_and.reduce(np.isfinite(vectors), axis=1)
            for theory, places in _places(chunk):
                appends[theory](vectors[places])
                tallies[theory].add_not_finite([chunk.rows[place] for place in places[~finite[places]]])


def _write_texts(chunks: Iterator[Chunk], tallies: Mapping[str, _Tally], archives: Mapping[str, ZipFile]) -> None:
    """Append each text to its theory's array; NumPy cuts what is wider."""
    with ExitStack() as stack:
        appends = {
            theory: stack.enter_context(
                array_member(archives[theory], "texts", (tally.texts,), f"<U{tally.width}", compressed=True)
            )
            for theory, tally in tallies.items()
        }
        for chunk in chunks:
            for theory, places in _places(chunk):
                width = tallies[theory].width
                step = max(_BLOCK_BYTES // (4 * width), 1)
                for start in range(0, len(places), step):
                    block = [chunk.texts[place] for place in places[start : start + step]]
                    appends[theory](np.array(block, dtype=f"<U{width}"))


def _vectors(
    settings: ExtractionSettings, file: TextFile, share: Share
) -> AbstractContextManager[Embedder | JoinedVectors | RayVectors]:
    if share.merged:
        return joined_vectors(share.merged)
    encoding = Encoding(settings.batch_size, settings.normalize, settings.dtype, settings.prompt_name)
    if isinstance(settings.engine, RayEngine):
        return settings.engine.vectors(settings.model, encoding, file, share)
    return embedder(settings.model, encoding, devices=settings.devices)


def _places(chunk: Chunk) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """Give out each theory of a chunk with the places of its texts, in their order."""
    places: dict[str, list[int]] = {}
    for place, theory in enumerate(chunk.theories):
        places.setdefault(theory, []).append(place)
    for theory, own in places.items():
        yield theory, np.array(own)


def _figures(
    settings: ExtractionSettings,
    model: Embedder | JoinedVectors | RayVectors,
    left_out: int,
    tallies: Mapping[str, _Tally],
    timings: Timings,
) -> dict[str, Any]:
    """Say what was embedded by what, and what was left out or could not be kept as it was."""
    n = sum(tally.texts for tally in tallies.values())
    shown = {"input_columns", "theory", "batch_size", "rows_per_chunk", "dtype", "normalize"}
    shown |= {"max_characters", "prompt_name"}
    return {
        "task": settings.task,
        "model": settings.model if isinstance(settings.model, str) else type(settings.model).__name__,
        "input": settings.input,
        "texts": n,
        "left_out": left_out,
        "dimension": model.dimension,
        "window": model.window,
        "devices": list(model.devices),
        "theories": [
            {
                "theory": theory,
                "file": file_of(theory),
                "texts": tally.texts,
                "longest": tally.longest,
                "truncated": tally.truncated,
                "nul": tally.nul,
                "not_finite": tally.not_finite,
            }
            for theory, tally in tallies.items()
        ],
        "not_finite_rows": sorted(row for tally in tallies.values() for row in tally.not_finite_rows)[:_MAX_ROWS_NAMED],
        "texts_per_second": n / max(timings.seconds["embed"], 1e-3),
        "settings": settings.model_dump(include=shown),
    }


TASK = Task(
    name="extract",
    settings=SettingsByTask({"embed": ExtractionSettings, "profile": ProfileSettings, "geometry": GeometrySettings}),
    run=_run,
    outputs=(VECTOR_FILES, *PROFILE_OUTPUTS, *GEOMETRY_OUTPUTS),
    sweep=(
        SweepView(show_extractions, ("theory",), kind="embed"),
        SweepView(show_profiles, ("theory",), kind="profile"),
        SweepView(show_geometries, ("theory",), kind="geometry"),
    ),
    divides=True,
)
