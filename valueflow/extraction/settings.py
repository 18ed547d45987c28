"""The settings of `extract.py task=embed`, and what those of task=judge share; `configs/extract.yaml` has defaults."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from valueflow.extraction.engines import LocalEngine, RayEngine
from valueflow.extraction.reading import check_file_name, theory_name
from valueflow.profiling import COLUMNS
from valueflow.run import BadRowPolicy, PositiveInt, Settings, built_as, known_columns
from valueflow.theory import theory_from_file


def _name_of_theory(given: Any) -> Any:
    """Return the name in a composed `theory` node; a collection of theories (`theory=any`) is no choice: None."""
    if not isinstance(given, Mapping):
        return given
    if given and all(isinstance(entry, Mapping) for entry in given.values()):
        return None
    if "name" not in given:
        if "file" in given:
            return theory_from_file(str(given["file"])).name
        raise ValueError("has no name; give theory=pvq, or another name as theory={name: mine}")
    return given["name"]


def _given(source: Any) -> Any:
    """Refuse a run without an input; profiles have other sources, so the YAML file cannot."""
    if source is None:
        raise ValueError("'input' is not set; give input=..., see --help")
    return source


GivenInput = Annotated[str, BeforeValidator(_given)]
"""A file of texts, which must be given."""

ConfiguredEngine = Annotated[
    LocalEngine | RayEngine,
    built_as(lambda engine: isinstance(engine, LocalEngine | RayEngine), "an engine: local or ray"),
]
"""Where the work is done, or the config node of it."""


class ExtractionSettings(Settings):
    """What is embedded by which model, and how it is stored."""

    task: Literal["embed"]
    model: Any
    input: GivenInput
    input_columns: Annotated[dict[str, str | None], known_columns(*COLUMNS)]
    theory: Annotated[str | None, BeforeValidator(_name_of_theory)]
    on_bad_row: BadRowPolicy
    batch_size: PositiveInt
    rows_per_chunk: PositiveInt
    engine: ConfiguredEngine
    devices: Annotated[
        Annotated[list[str], Field(min_length=1)] | None,
        BeforeValidator(lambda given: [given] if isinstance(given, str) else given),
    ]
    dtype: Literal["float32", "float16", "bfloat16"] | None
    normalize: bool
    prompt_name: str | None
    max_characters: PositiveInt | None
    progress: bool

    @field_validator("model")
    @classmethod
    def _check_model(cls, model: Any) -> Any:
        if not (isinstance(model, str) or hasattr(model, "encode")):
            raise ValueError("is neither a name or folder nor a SentenceTransformer (an object with `encode`)")
        return model

    @field_validator("theory")
    @classmethod
    def _check_theory(cls, theory: str | None) -> str | None:
        return None if theory is None else check_file_name(theory_name(theory))

    @model_validator(mode="after")
    def _check_dtype(self) -> Self:
        if self.dtype is not None and not isinstance(self.model, str):
            raise ValueError(f"dtype={self.dtype} is for a model that is loaded by name; convert yours beforehand")
        return self

    @model_validator(mode="after")
    def _check_engine(self) -> Self:
        if isinstance(self.engine, RayEngine):
            if self.devices is not None:
                raise ValueError("devices: engine=ray places its actors itself; give engine.actors and engine.gpus")
            if not isinstance(self.model, str):
                raise ValueError("model: actors of engine=ray load it by its name or folder; give that")
        return self
