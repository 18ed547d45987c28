"""The settings of `extract.py`; `configs/extract.yaml` holds their defaults."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from valueflow.encoder.extraction.reading import COLUMNS, check_file_name, theory_name
from valueflow.run.errors import nearest
from valueflow.run.settings import Settings


def _name_of_theory(given: Any) -> Any:
    """Return the name in a composed `theory` node; a collection of theories (`theory=any`) is no choice: None."""
    if not isinstance(given, Mapping):
        return given
    if given and all(isinstance(entry, Mapping) for entry in given.values()):
        return None
    if "name" not in given:
        raise ValueError("has no name; give theory=pvq, or another name as theory={name: mine}")
    return given["name"]


class ExtractionSettings(Settings):
    """What is embedded by which model, and how it is stored."""

    task: Literal["embed"] = Field(description="What is done with the texts.")
    model: Any = Field(description="minilm, a folder, a name on the hub, or a loaded SentenceTransformer.")
    input: str = Field(description="CSV or Parquet file with a column `text` and, optionally, `theory`.")
    input_columns: dict[str, str] = Field(description="Our column name -> the file's, where they differ.")
    theory: Annotated[str | None, BeforeValidator(_name_of_theory)] = Field(
        description="Theory of all texts where the file has no column `theory`; with one, only its rows of this theory "
        "are embedded; None: the column says."
    )
    batch_size: int = Field(ge=1, strict=True, description="Texts the model sees at once.")
    rows_per_chunk: int = Field(ge=1, strict=True, description="Texts held in memory at once.")
    devices: Annotated[
        list[str] | None, BeforeValidator(lambda given: [given] if isinstance(given, str) else given)
    ] = Field(min_length=1, description="Where to embed, one process each if several; None: the GPU, or the CPU.")
    dtype: Literal["float32", "float16", "bfloat16"] | None = Field(
        description="Of weights and arithmetic; None: as the weights are stored. The file holds float32 in any case."
    )
    normalize: bool = Field(description="Give vectors length 1.")
    max_characters: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        description="Longest text that is stored; longer ones are embedded whole and stored cut. None: all are whole."
    )
    progress: bool = Field(description="Show a progress bar while texts are embedded.")

    @field_validator("model")
    @classmethod
    def _check_model(cls, model: Any) -> Any:
        if not (isinstance(model, str) or hasattr(model, "encode")):
            raise ValueError("is neither a name or folder nor a SentenceTransformer (an object with `encode`)")
        return model

    @field_validator("input")
    @classmethod
    def _check_input(cls, path: str) -> str:
        if path == "???":  # what the YAML holds, which has no default for it
            raise ValueError("is not set; give a CSV or Parquet file")
        return path

    @field_validator("input_columns")
    @classmethod
    def _check_columns(cls, columns: dict[str, str]) -> dict[str, str]:
        for ours in columns:
            if ours not in COLUMNS:
                raise ValueError(f"'{ours}' is no column; {nearest(ours, COLUMNS)}")
        return columns

    @field_validator("theory")
    @classmethod
    def _check_theory(cls, theory: str | None) -> str | None:
        return None if theory is None else check_file_name(theory_name(theory))

    @model_validator(mode="after")
    def _check_dtype(self) -> Self:
        if self.dtype is not None and not isinstance(self.model, str):
            raise ValueError(f"dtype={self.dtype} is for a model that is loaded by name; convert yours beforehand")
        return self
