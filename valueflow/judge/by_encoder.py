"""What judges by a sentence encoder: a regression fitted on anchors, or the head it was distilled with."""

from valueflow.judge.distilled import DistilledJudge
from valueflow.judge.embedding import EmbeddingJudge
from valueflow.judge.utility_head import has_head
from valueflow.run import InputError, nearest

HEADS = ("auto", "distilled", "anchors")


def embedding_judge(
    encoder: str = "minilm",
    batch_size: int = 64,
    max_anchors: int | None = 5000,
    seed: int = 42,
    head: str = "auto",
) -> EmbeddingJudge | DistilledJudge:
    """Build a judge from its settings, as `judge=embedding` gives them; `configs/judge/embedding.yaml` describes them.

    Raises
    ------
    InputError
        A setting cannot be, or a distilled head is asked for where there is none.
    """
    if head not in HEADS:
        raise InputError(f"judge.head={head}: unknown; {nearest(str(head), HEADS)}")
    if head == "distilled" or (head == "auto" and isinstance(encoder, str) and has_head(encoder)):
        return DistilledJudge(encoder, batch_size)
    return EmbeddingJudge(encoder, batch_size, max_anchors, seed)
