"""A file of texts in, a file of vectors for each theory out: `extract.py task=embed`."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt

from valueflow.encoder import model_source
from valueflow.extraction.embedding import Embedder, Encoding, embedder
from valueflow.extraction.engines import RayEngine
from valueflow.extraction.joining import JoinedVectors, joined_vectors
from valueflow.extraction.npz import array_member, npz_file
from valueflow.extraction.outcome import Embeddings, file_of
from valueflow.extraction.ray_vectors import PROBE_CHUNK, EncoderRecipe, RayVectors
from valueflow.extraction.reading import Chunk, TextFile, own_chunks
from valueflow.extraction.settings import ExtractionSettings
from valueflow.extraction.tallies import MAX_ROWS_NAMED, Tally, check_sizes, count_by_theory
from valueflow.run import Run, Share, Timings, progress_bar

_BLOCK_BYTES = 16 << 20
"""Texts are laid out as an array in blocks of about this size."""


def embed_file(settings: ExtractionSettings, run: Run) -> Embeddings:
    """Embed the texts that a run is about.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.
    """
    folder = run.required_folder("files of vectors")
    if isinstance(settings.model, str):
        model_source(settings.model)  # a folder that is not there is reported before a long file is read
    if isinstance(settings.engine, RayEngine) and not run.share.merged:
        settings.engine.check()
    file = TextFile(settings.input, settings.input_columns, settings.theory, settings.rows_per_chunk, run.bad_rows)
    with run.stage("check"):
        tallies = count_by_theory(file, settings, run.share)
        run.share.check_rows()
        check_sizes(tallies, settings)
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


def _write_vectors(
    chunks: Iterator[Chunk],
    model: Embedder | JoinedVectors | RayVectors,
    tallies: Mapping[str, Tally],
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


def _write_texts(chunks: Iterator[Chunk], tallies: Mapping[str, Tally], archives: Mapping[str, ZipFile]) -> None:
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


@contextmanager
def _vectors(
    settings: ExtractionSettings, file: TextFile, share: Share
) -> Iterator[Embedder | JoinedVectors | RayVectors]:
    encoding = Encoding(settings.batch_size, settings.normalize, settings.dtype, settings.prompt_name)
    engine = settings.engine
    if share.merged:
        with joined_vectors(share.merged) as joined:
            yield joined
    elif isinstance(engine, RayEngine):
        recipe = EncoderRecipe(settings.model, encoding)
        with engine.running(), engine.made(recipe, file, share, first=PROBE_CHUNK) as chunks:
            yield RayVectors(chunks, engine.actors)
    else:
        with embedder(settings.model, encoding, devices=settings.devices) as model:
            yield model


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
    tallies: Mapping[str, Tally],
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
        "not_finite_rows": sorted(row for tally in tallies.values() for row in tally.not_finite_rows)[:MAX_ROWS_NAMED],
        "texts_per_second": n / max(timings.seconds["embed"], 1e-3),
        "settings": settings.model_dump(include=shown),
    }
