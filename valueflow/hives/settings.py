"""The settings of `train.py`; `configs/train.yaml` and its groups hold their defaults and describe them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from valueflow.hives.unread import given_in_vain
from valueflow.run import PositiveInt, Seed, Settings


def _listed(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


Sources = Annotated[list[str], BeforeValidator(_listed)]
Share = Annotated[float, Field(ge=0, lt=1)]
HeldOutShare = Annotated[float, Field(ge=0, lt=0.5)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
SeveralValues = Literal["branch", "each"]

FSDP = "fsdp"
"""What `trainer.strategy` is where the encoder is divided among processes."""


@dataclass(frozen=True)
class LabelRules:
    """How sources with labels of another kind are read.

    `names` is the column with free names of values; None: only tables laid out as ValueKaleidoscope's have any. A name
    that is unknown means the nodes whose definitions are at least as near as `name_similarity`, a cosine; None: it
    means none. An argument of ValueEval with `several_values` has rows for each of them or for the branch they share.
    """

    names: str | None = None
    name_similarity: float | None = None
    several_values: SeveralValues = "branch"


DEFAULT_RULES = LabelRules()


class DataSettings(Settings):
    """Which texts train and which test."""

    train: Sources | None
    validation: Sources | None
    test: Sources | None
    texts: Sources | None
    theory: str | None
    names: str | None
    name_similarity: Annotated[float, Field(ge=-1, le=1)] | None
    several_values: SeveralValues
    held_out: HeldOutShare

    @property
    def label_rules(self) -> "LabelRules":
        """How sources with labels of another kind are read."""
        return LabelRules(self.names, self.name_similarity, self.several_values)


class BackboneSettings(Settings):
    """The sentence encoder that training starts from."""

    model: str
    max_tokens: PositiveInt | None
    pooling: Literal["cls", "mean", "max", "lasttoken"] | None
    padding_side: Literal["left", "right"] | None
    dtype: Literal["float32", "bfloat16", "float16"] | None
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"]

    @field_validator("model")
    @classmethod
    def _check_model(cls, model: str) -> str:
        if model in ("", "???"):
            raise ValueError("'backbone.model' is not set; give the name or folder of an encoder")
        return model


class StageSettings(Settings):
    """The losses of a stage of training, and what its batches hold."""

    name: Literal["intra", "inter"]
    temperature: Positive
    base_temperature: Positive
    direction_penalty: NotNegative
    id_temperature: Positive
    individual_weight: NotNegative
    anchor_weight: NotNegative
    batch_size: Annotated[int, Field(ge=2, strict=True)]
    anchors_per_batch: PositiveInt
    positives_per_anchor: PositiveInt
    members_per_id: Annotated[int, Field(ge=2, strict=True)]


class OptimizerSettings(Settings):
    """AdamW and its learning-rate schedule."""

    learning_rate: Positive
    weight_decay: NotNegative
    warmup: Annotated[float, Field(ge=0, le=1)]
    schedule: Literal["cosine", "linear", "constant_with_warmup"]


class TrainerSettings(Settings):
    """Where and how steps are computed: arguments of Lightning's Trainer."""

    accelerator: Literal["cpu", "gpu", "auto"]
    devices: int | list[int] | Literal["auto"]
    num_nodes: PositiveInt
    strategy: str
    precision: Literal["32-true", "bf16-mixed", "16-mixed"]
    gradient_clip: Annotated[float, Field(gt=0)] | None
    workers: Annotated[int, Field(ge=0, strict=True)]

    @property
    def is_distributed(self) -> bool:
        """Whether the strategy is one for several processes."""
        return self.strategy == FSDP or self.strategy.startswith("ddp")

    @property
    def may_use_gpu(self) -> bool:
        """Whether a GPU may be used where there is one."""
        return self.accelerator != "cpu"


_OF_DISTILLATION = ("llm", "cache", "teacher")
"""Settings of stage=distill; `teacher` refers to the others, so these are named first."""

_OF_STAGE_2 = {f"stage.{key}" for key in ("id_temperature", "individual_weight", "anchor_weight", "members_per_id")}
"""What only stage=inter reads."""

_OF_TRAINING = {
    *("stage", "optimizer", "loss", "epochs", "max_steps", "validate_every", "patience"),
    *("chunk_size", "gradient_caching", "start_share", "push_to_hub"),
}


class EncoderTraining(Settings, extra="ignore"):
    """What every training of an encoder has: where it starts, on what, for how long, and where it is computed.

    Keys of other stages are left aside; `SettingsByTask` knows them all.
    """

    backbone: BackboneSettings
    trainer: TrainerSettings
    optimizer: OptimizerSettings
    data: DataSettings
    model: str | None
    epochs: PositiveInt
    max_steps: PositiveInt | None
    validate_every: PositiveInt
    patience: PositiveInt | None
    chunk_size: PositiveInt
    gradient_caching: bool
    start_share: Share
    push_to_hub: str | None
    seed: Seed
    progress: bool

    @field_validator("trainer")
    @classmethod
    def _check_trainer(cls, trainer: TrainerSettings) -> TrainerSettings:
        if trainer.accelerator == "cpu" and trainer.precision == "16-mixed":
            raise ValueError("precision=16-mixed needs a GPU; give 32-true or bf16-mixed")
        if trainer.strategy == FSDP and trainer.precision == "16-mixed":
            raise ValueError("precision=16-mixed scales gradients, which strategy=fsdp does not have; give bf16-mixed")
        return trainer

    @property
    def start(self) -> str:
        """The encoder that training starts from: an export, or the backbone."""
        return self.model or self.backbone.model


class TrainSettings(EncoderTraining):
    """What is trained in the stages intra and inter, on what, how, and what is measured."""

    task: Literal["train", "test", "convert"]
    stage: StageSettings
    measure: Literal["validation", "test"] | None
    baseline: Sources | None
    metrics: Literal["standard", "published"]
    replicates: Annotated[int, Field(ge=0, strict=True)]
    loss: Annotated[Literal["hmc", "hce", "hmce"], BeforeValidator(lambda given: "hmce" if given is None else given)]
    teacher: Any = Field(exclude=True)
    llm: Any = Field(exclude=True)
    cache: Any = Field(exclude=True)

    @model_validator(mode="after")
    def _check_distillation(self) -> Self:
        key = given_in_vain(self, _OF_DISTILLATION)
        if key is not None:
            raise ValueError(
                f"{key} is for stage=distill, which alone asks a judge; task={self.task} stage={self.stage.name} does "
                f"not read it: give stage=distill, or leave {key} out"
            )
        return self

    @model_validator(mode="after")
    def _check_data(self) -> Self:
        if self.data.texts is not None:
            raise ValueError(
                f"data.texts is for stage=distill; stage={self.stage.name} learns from labeled texts (data.train)"
            )
        if self.baseline is not None and self.task != "test":
            raise ValueError(f"baseline is for task=test; task={self.task} compares with nothing else")
        if self.task == "test":
            part = self.measure or "test"
            if (self.data.validation if part == "validation" else self.data.test) is None and self.data.train is None:
                raise ValueError(
                    f"task=test: data.{part} is not set; give a training table, anchors or a ValueEval file"
                )
        elif self.data.train is None:
            raise ValueError(
                "data.train is not set; give a training table, a folder of anchors, a ValueEval file, or demo"
            )
        return self

    def unused(self, referred: Collection[str]) -> set[str]:
        """Return the keys that have no part in this run."""
        found = super().unused(referred) | set(_OF_DISTILLATION)
        if self.task == "convert":
            return found | (set(type(self).model_fields) - {"task", "data"})
        if self.task == "test":
            return found | _OF_TRAINING
        return found | (_OF_STAGE_2 if self.stage.name == "intra" else set())
