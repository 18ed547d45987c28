"""The settings of `train.py`; `configs/train.yaml` and its groups hold their defaults."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from valueflow.run import Settings


def _listed(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


Sources = Annotated[list[str], BeforeValidator(_listed)]


class DataSettings(Settings):
    """Which texts train and which test."""

    train: Sources | None = Field(description="Training tables, anchors or ValueEval files; see `load_table`.")
    validation: Sources | None = Field(description="Measured while training; None: held out of `train`.")
    test: Sources | None = Field(description="Measured before and after; None: the same as validation.")
    held_out: float = Field(ge=0, lt=1, description="Share of the texts of `train` that is held out, by text.")


class BackboneSettings(Settings):
    """The sentence encoder that training starts from."""

    model: str = Field(description="minilm (from a package), or the name or folder of a model.")
    max_tokens: int | None = Field(
        ge=1, strict=True, description="Longer texts are truncated; None: the model's own limit."
    )
    pooling: Literal["cls", "mean", "max", "lasttoken"] | None = Field(description="None: the model's own.")
    padding_side: Literal["left", "right"] | None = Field(description="None: the tokenizer's own.")
    dtype: Literal["float32", "bfloat16", "float16"] | None = Field(description="Of the weights; None: as stored.")
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = Field(
        description="auto: flash attention where it is installed and there is a GPU, else the library's choice."
    )

    @field_validator("model")
    @classmethod
    def _check_model(cls, model: str) -> str:
        if model in ("", "???"):
            raise ValueError("'backbone.model' is not set; give the name or folder of an encoder")
        return model


class StageSettings(Settings):
    """The losses of a stage of training, and what its batches hold."""

    name: Literal["intra", "inter"] = Field(description="intra: within theories. inter: across them, after intra.")
    temperature: float = Field(gt=0, allow_inf_nan=False, description="tau of the hierarchical loss.")
    base_temperature: float = Field(
        gt=0, allow_inf_nan=False, description="tau_base: the loss is scaled by tau over it."
    )
    direction_penalty: float = Field(ge=0, allow_inf_nan=False, description="Similarity lost by another direction.")
    id_temperature: float = Field(gt=0, allow_inf_nan=False, description="tau of the two losses by ids (inter).")
    individual_weight: float = Field(ge=0, allow_inf_nan=False, description="Weight of the individual loss (inter).")
    anchor_weight: float = Field(
        ge=0, allow_inf_nan=False, description="Weight of the loss by concept (selected_anchor; inter)."
    )
    batch_size: int = Field(ge=2, strict=True, description="Texts per step, over all processes.")
    anchors_per_batch: int = Field(ge=1, strict=True, description="Queries: texts that a batch is built around.")
    positives_per_anchor: int = Field(
        ge=1, strict=True, description="Most positives of a query: texts of its path and direction."
    )
    members_per_id: int = Field(ge=2, strict=True, description="Texts of an id in a sub-batch (inter).")


class OptimizerSettings(Settings):
    """AdamW and the course of its learning rate."""

    learning_rate: float = Field(gt=0, allow_inf_nan=False, description="The highest, after the warm-up.")
    weight_decay: float = Field(ge=0, allow_inf_nan=False, description="Of matrices; vectors and biases have none.")
    warmup: float = Field(ge=0, le=1, description="Share of the steps in which the rate rises from 0.")
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = Field(description="How it falls afterwards.")


class TrainerSettings(Settings):
    """Where and how steps are computed: arguments of Lightning's Trainer."""

    accelerator: Literal["cpu", "gpu", "auto"] = Field(description="What computes.")
    devices: int | list[int] | Literal["auto"] = Field(description="How many of them, or which.")
    num_nodes: int = Field(ge=1, strict=True, description="Machines.")
    strategy: str = Field(description="auto, or ddp and its kind: one process per device.")
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "bf16-true"] = Field(description="Of the arithmetic.")
    gradient_clip: float | None = Field(gt=0, description="Longest gradient; None: not clipped.")
    workers: int = Field(ge=0, strict=True, description="Processes that tokenize ahead; 0: none.")

    @property
    def may_use_gpu(self) -> bool:
        """Whether a GPU may be used where there is one."""
        return self.accelerator != "cpu"


class TrainSettings(Settings):
    """What is trained, on what, how, and what is measured."""

    task: Literal["train", "test", "convert"] = Field(description="train, measure a model, or write the table.")
    stage: StageSettings = Field(description="Which losses and batches.")
    backbone: BackboneSettings = Field(description="What training starts from, unless `model` is given.")
    trainer: TrainerSettings = Field(description="Where and how steps are computed.")
    optimiser: OptimizerSettings = Field(description="Learning rate and its course.")
    data: DataSettings = Field(description="Which texts train and which test.")
    model: str | None = Field(description="An export to start from (stage 2), or to measure; None: the backbone.")
    loss: Literal["hmc", "hce", "hmce"] = Field(description="The hierarchical loss: weights, maximum, or both.")
    epochs: int = Field(ge=1, strict=True, description="Times that every usable text is a query.")
    max_steps: int | None = Field(ge=1, strict=True, description="Steps at most; None: all of the epochs'.")
    validate_every: int = Field(ge=1, strict=True, description="Steps between two measurements and checkpoints.")
    patience: int | None = Field(ge=1, strict=True, description="Measurements without a new best before it ends.")
    chunk_size: int = Field(ge=1, strict=True, description="Texts the encoder sees at once, of similar length.")
    gradient_caching: bool = Field(
        description="Gao et al. (2021): memory of one chunk instead of a batch, for a third more time."
    )
    start_share: float = Field(
        ge=0, lt=1, description="Share of the starting weights in the export; see `interpolate_weights`."
    )
    push_to_hub: str | None = Field(description="Name on the hub that the trained model is sent to; None: kept here.")
    seed: int = Field(ge=0, strict=True, description="The one seed.")
    progress: bool = Field(description="Show a progress bar.")

    @field_validator("trainer")
    @classmethod
    def _check_trainer(cls, trainer: TrainerSettings) -> TrainerSettings:
        if trainer.accelerator == "cpu" and trainer.precision in ("16-mixed",):
            raise ValueError("precision=16-mixed needs a GPU; give 32-true or bf16-mixed")
        return trainer

    @model_validator(mode="after")
    def _check_data(self) -> Self:
        if self.task == "test":
            if self.data.test is None and self.data.train is None:
                raise ValueError("task=test: data.test is not set; give a training table, anchors or a ValueEval file")
        elif self.data.train is None:
            raise ValueError(
                "data.train is not set; give a training table, a folder of anchors, a ValueEval file, or demo"
            )
        return self
