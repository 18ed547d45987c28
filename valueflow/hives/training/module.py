"""The LightningModule of both stages: a sentence encoder, an objective, an optimizer, held-out metrics."""

from collections.abc import Mapping
from typing import Any, Protocol, cast

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import get_scheduler

from valueflow.hives.data import TrainingTable, near_duplicates
from valueflow.hives.metrics import held_out_metrics
from valueflow.hives.settings import OptimizerSettings
from valueflow.hives.training.checkpoints import FINGERPRINT_KEY
from valueflow.hives.training.dataset import Chunks, Features, TrainingBatch, whole_batch
from valueflow.hives.training.sharding import ShardingStrategy, whole

HELD_OUT = "held_out/"
"""Under this prefix metrics of held-out texts are logged."""


class HeldOut(Protocol):
    """Texts that are measured while others are trained on."""

    @property
    def decisive(self) -> str:
        """Name of the metric, the higher the better, that decides early stopping and the best checkpoint."""
        ...

    def __len__(self) -> int:
        """Return the number of texts."""
        ...

    def metrics(self, vectors: npt.NDArray[np.float32]) -> Mapping[str, float | None]:
        """Return metrics by name, from the embeddings (n, D) of the texts; None: not defined."""
        ...


class HeldOutLabels:
    """Held-out texts of stages 1 and 2, measured by their labels."""

    decisive = "ranking_accuracy"

    def __init__(self, table: TrainingTable, seed: int) -> None:
        self._labels, self._seed = table.labels, seed
        self._texts = near_duplicates(table.texts.tolist())

    @property
    def decides(self) -> bool:
        """Whether the texts have a ranking accuracy, which depends on their labels alone."""
        same = np.ones((len(self), 1), dtype=np.float32)
        return self.metrics(same)[self.decisive] is not None

    def __len__(self) -> int:
        return len(self._labels)

    def metrics(self, vectors: npt.NDArray[np.float32]) -> Mapping[str, float | None]:
        """Return the metrics over all theories."""
        metrics = held_out_metrics(vectors, self._labels, texts=self._texts, seed=self._seed)
        overall: Mapping[str, float | None] = metrics["overall"]
        return overall


class HivesModule(pl.LightningModule):
    """Trains a SentenceTransformer on batches of texts.

    Each step is seeded by its own number, so that a training which continues from a checkpoint draws the same dropout
    as one that was never stopped.

    Parameters
    ----------
    encoder
        What is trained.
    objective
        Takes embeddings and the targets of a batch, returns losses by name; `loss` is minimized.
    optimizer
        Learning rate and its course.
    objective_learning_rate
        Of the objective's own parameters, where it has any; None: the same.
    steps
        Steps of the whole training, which the course of the learning rate spans.
    held_out
        The held-out texts, whose chunks `validation_step` gets; None: there are none.
    gradient_caching
        Gradient caching of Gao et al. (2021): chunks are embedded without keeping activations; the gradient of the loss
        with respect to all embeddings is computed; then each chunk is embedded once more, with the same random numbers,
        and its part of that gradient is propagated through the encoder. Memory is that of one chunk, time about a third
        more, and gradients are the same.
    seed
        The one seed.
    fingerprint
        Of this training; checkpoints contain it.

    References
    ----------
    Gao, L., Zhang, Y., Han, J. and Callan, J. (2021). Scaling deep contrastive learning batch size under memory limited
    setup. RepL4NLP. arXiv:2101.06983.
    """

    def __init__(
        self,
        encoder: SentenceTransformer,
        objective: nn.Module,
        optimizer: OptimizerSettings,
        *,
        steps: int,
        objective_learning_rate: float | None = None,
        held_out: HeldOut | None = None,
        gradient_caching: bool = False,
        seed: int = 0,
        fingerprint: str = "",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        self._optimizer = optimizer
        self._objective_learning_rate = objective_learning_rate
        self._steps = steps
        self._held_out = held_out
        self._gradient_caching = gradient_caching
        self._seed = seed
        self._fingerprint = fingerprint
        self._held_out_vectors: Tensor | None = None

    def configure_model(self) -> None:
        """Divide the encoder among the processes, where the strategy is to do so."""
        strategy = self.trainer.strategy
        if isinstance(strategy, ShardingStrategy):
            self.encoder = strategy.sharded(self.encoder)

    def embed(self, chunks: Chunks) -> Tensor:
        """Return the (n, D) embeddings of chunks, at length 1, in the caller's order."""
        # A checkpointed chunk keeps its tokens and the state of the random numbers alone. Nothing but its embeddings
        # connects it to the loss, so the gradient with respect to these is complete before it is embedded again.
        parts = [
            checkpoint(self._embed_chunk, features, use_reentrant=False)
            if self._gradient_caching and torch.is_grad_enabled()
            else self._embed_chunk(features)
            for features in chunks.features
        ]
        return torch.cat(parts)[torch.argsort(chunks.places)]

    def _embed_chunk(self, features: Features) -> Tensor:
        # A copy: modules of the encoder add their results to the mapping they are given.
        vectors: Tensor = self.encoder(dict(features))["sentence_embedding"]
        return functional.normalize(vectors.float(), dim=-1)

    def on_train_start(self) -> None:
        """Switch dropout on: an encoder is loaded for use, and Lightning leaves modules as they are.

        One that is frozen stays as it is used.
        """
        self.train()
        self.encoder.train(any(parameter.requires_grad for parameter in self.encoder.parameters()))

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        """Return the loss of the whole batch, whichever processes hold its texts."""
        torch.manual_seed(_combined_seed(self._seed, batch.step, self.global_rank))
        own = self.embed(batch.chunks)
        shares = own[None]
        if self.trainer.world_size > 1:
            shares = cast(Tensor, self.all_gather(own, sync_grads=True))
        losses: dict[str, Tensor] = self.objective(whole_batch(shares, len(batch.labels)), batch.labels)
        self.log_dict({f"train/{name}": loss.detach() for name, loss in losses.items()}, batch_size=len(batch.labels))
        self.log("loss", losses["loss"].detach(), prog_bar=True, logger=False, batch_size=len(batch.labels))
        return losses["loss"]

    def on_train_batch_end(self, *_: Any) -> None:
        """Stop after the last step: Lightning measures where it stops, though the interval is not over."""
        if self.trainer.global_step >= self._steps:
            self.trainer.should_stop = True

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Log the learning rate and the Euclidean norm of the whole gradient before it is clipped."""
        gradients = [parameter.grad for parameter in self.parameters() if parameter.grad is not None]
        self.log("learning_rate", float(optimizer.param_groups[0]["lr"]))
        self.log("gradient_norm", whole(nn.utils.get_total_norm(gradients)))

    def on_validation_epoch_start(self) -> None:
        """Make room for the embeddings of held-out texts, and for one that is embedded twice."""
        n = 0 if self._held_out is None else len(self._held_out)
        self._held_out_vectors = torch.zeros(n + 1, self.encoder.get_embedding_dimension() or 0, device=self.device)

    def validation_step(self, batch: Chunks, batch_idx: int) -> None:
        """Embed a chunk of held-out texts."""
        if self._held_out_vectors is not None:
            (features,) = batch.features
            self._held_out_vectors[batch.places] = self._embed_chunk(features)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the held-out texts."""
        if self._held_out is None or self._held_out_vectors is None:
            return
        # Each process has filled the rows of its own chunks, and left the others at zero.
        vectors = self.trainer.strategy.reduce(self._held_out_vectors[:-1], reduce_op="sum")
        metrics = self._held_out.metrics(vectors.cpu().numpy())
        self._held_out_vectors = None
        self.log_dict({f"{HELD_OUT}{name}": float(value) for name, value in metrics.items() if value is not None})
        decisive = metrics.get(self._held_out.decisive)
        if decisive is not None:
            self.log(self._held_out.decisive, float(decisive), prog_bar=True, logger=False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the fingerprint to a checkpoint."""
        checkpoint[FINGERPRINT_KEY] = self._fingerprint

    def configure_optimizers(self) -> Any:
        """Return AdamW, without decay on vectors and biases, and the course of the learning rate."""
        settings = self._optimizer
        groups = []
        for part, rate in ((self.encoder, None), (self.objective, self._objective_learning_rate)):
            trained = [parameter for parameter in part.parameters() if parameter.requires_grad]
            for own, decay in (
                ([p for p in trained if p.ndim > 1], settings.weight_decay),
                ([p for p in trained if p.ndim <= 1], 0.0),
            ):
                if own:
                    groups.append({"params": own, "weight_decay": decay, "lr": rate or settings.learning_rate})
        optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate)
        schedule = get_scheduler(
            settings.schedule,
            optimizer,
            num_warmup_steps=round(settings.warmup * self._steps),
            num_training_steps=self._steps,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _combined_seed(*numbers: int) -> int:
    """Return one seed of several numbers; near ones give seeds that are far apart."""
    mixed = 0
    for number in numbers:
        mixed = (mixed * 0x9E3779B97F4A7C15 + number + 0x632BE59BD9B4E019) % 2**63
    return mixed
