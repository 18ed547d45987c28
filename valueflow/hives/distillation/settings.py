"""The settings of `train.py stage=distill`; `configs/train.yaml` and its groups hold and describe their defaults."""

from collections.abc import Collection
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SkipValidation, model_validator

from valueflow.hives.settings import EncoderTraining, Positive
from valueflow.hives.unread import given_in_vain, unread_by
from valueflow.judge import TextJudge
from valueflow.llm import CacheMode
from valueflow.run import PositiveInt, Settings, built_as

ConfiguredTeacher = Annotated[
    SkipValidation[TextJudge],
    built_as(
        lambda judge: isinstance(judge, TextJudge) and hasattr(judge, "describe"),
        "a judge that gives single texts utilities (an object with `text_utilities`, `anchor_utilities` and "
        "`describe`), as logprob and embedding are; give one of them",
    ),
]
"""A judge that can be learned from, or the config node of one."""


_OF_OTHER_STAGES = (
    *("loss", "measure", "baseline", "metrics", "replicates"),
    *("data.names", "data.name_similarity", "data.several_values"),
)
"""Settings that only the other stages read."""

_OF_TEACHERS = ("llm", "cache")
"""Settings that a teacher may refer to, and nothing else does."""


class DistillStageSettings(Settings):
    """What the teacher is asked, and how the head learns."""

    name: Literal["distill"]
    values_per_text: PositiveInt | None
    batch_size: Annotated[int, Field(ge=2, strict=True)]
    head_learning_rate: Positive
    freeze_encoder: bool
    vidb: str


class DistillSettings(EncoderTraining):
    """Whose utilities are learned, of which texts, by which encoder."""

    task: Literal["train"]
    stage: DistillStageSettings
    teacher: ConfiguredTeacher
    llm: Any
    cache: CacheMode
    loss: Any = Field(exclude=True)
    measure: Any = Field(exclude=True)
    baseline: Any = Field(exclude=True)
    metrics: Any = Field(exclude=True)
    replicates: Any = Field(exclude=True)

    @property
    def _is_one_process(self) -> bool:
        devices = self.trainer.devices
        several = len(devices) > 1 if isinstance(devices, list) else devices not in (1, "auto")
        # All that are there: on a CPU it is one.
        unknown = devices == "auto" and self.trainer.may_use_gpu
        return not (several or unknown or self.trainer.num_nodes > 1 or self.trainer.is_distributed)

    @model_validator(mode="before")
    @classmethod
    def _check_teacher(cls, given: dict[str, Any]) -> dict[str, Any]:
        # Before the teacher is built: an object does not say what it was built from.
        keys = [key for key in _OF_TEACHERS if key in given]
        key = given_in_vain(given, unread_by(given.get("teacher"), given, keys))
        if key is not None:
            raise ValueError(
                f"{key} is for a teacher that asks a language model, such as teacher=logprob; the teacher that is "
                f"given does not read it: give teacher=logprob, or leave {key} out"
            )
        return given

    @model_validator(mode="after")
    def _check_other_stages(self) -> Self:
        key = given_in_vain(self, _OF_OTHER_STAGES)
        if key is not None:
            raise ValueError(
                f"{key} is for stage=intra and stage=inter; stage=distill learns utilities, not labels, and measures "
                f"on the test texts how far they are its teacher's; leave {key} out"
            )
        return self

    @model_validator(mode="after")
    def _check_distillation(self) -> Self:
        for key in ("train", "validation", "test"):
            if getattr(self.data, key) is not None:
                raise ValueError(
                    f"stage=distill learns from data.texts, and measures on those it holds out; data.{key} is for the "
                    "other stages"
                )
        if not self._is_one_process:
            raise ValueError(
                "stage=distill runs in one process, since each would ask the teacher anew; give trainer=gpu or "
                "trainer=cpu, with trainer.devices=1"
            )
        if self.start_share:
            raise ValueError(
                f"start_share={self.start_share}: a head fits only the weights that it was trained with; give 0"
            )
        return self

    def unused(self, referred: Collection[str]) -> set[str]:
        """Return the keys that have no part in this run."""
        return super().unused(referred) | set(_OF_OTHER_STAGES)
