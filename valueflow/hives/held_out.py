"""Which texts are held out, and what a model makes of them."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.hives.metrics import held_out_metrics
from valueflow.hives.table import TrainingTable
from valueflow.run import keyed_uniforms, row_keys

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_BATCH = 64


def is_held_out(texts: npt.NDArray[np.object_], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Tell for each text whether it is held out.

    Parameters
    ----------
    texts
        (N,) texts.
    share
        Share of all possible texts that is held out, from 0 to 1.
    seed
        Another seed holds out others.

    Returns
    -------
    (N,) array
        The same for a text wherever it stands: in another file, order or stage of training.
    """
    keys = row_keys(pd.DataFrame({"text": texts}), seed)
    return np.asarray(keyed_uniforms(keys, 1)[:, 0] < share)


def measured(model: "SentenceTransformer", table: TrainingTable, *, seed: int, on_gpu: bool = False) -> dict[str, Any]:
    """Embed texts, on a GPU if there is one and it may be used, and return all metrics as `held_out_metrics` does."""
    import torch

    texts = sorted(set(table.texts))
    vectors = model.encode(
        texts,
        batch_size=_BATCH,
        convert_to_numpy=True,
        show_progress_bar=False,
        device="cuda" if on_gpu and torch.cuda.is_available() else "cpu",
    )
    places = {text: place for place, text in enumerate(texts)}
    return held_out_metrics(vectors[[places[text] for text in table.texts]], table.labels, seed=seed)
