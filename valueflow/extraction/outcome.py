"""What an extraction leaves: a file of vectors for each theory."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from valueflow.extraction.display import show_extractions
from valueflow.run import Outcome

VECTOR_FILES = "embedding_*.npz"


def file_of(theory: str) -> str:
    """Return the name of the file that holds a theory's vectors."""
    return f"embedding_{theory}.npz"


@dataclass(frozen=True, kw_only=True)
class Embeddings(Outcome):
    """Where the vectors are; they may be more than memory holds.

    Attributes
    ----------
    files
        Theory -> NPZ file with the arrays `texts` (unicode) and `embeddings` (float32, N x D), in the order of the
        input; `numpy.load(file)` reads it, without pickles.
    summary
        Counts by theory, dimension, model, settings, versions, timings.
    """

    files: dict[str, Path]

    def outputs(self) -> Mapping[str, None]:
        """Return the names of the files of vectors, which are written while texts are embedded."""
        return {path.name: None for path in self.files.values()}

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the counts by theory, for loggers; the vectors are in the files."""
        return {"theories": pd.DataFrame(self.summary["theories"])}

    def show(self) -> None:
        """Print the table for a person."""
        show_extractions([self.summary])
