"""An encoder's folder with a head of random numbers, in the place of one that was distilled."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from valueflow.encoder import PROBE, load_model
from valueflow.judge import UtilityHead, text_keys


def save_head(encoder: Path, folder: Path, learned: Sequence[str] = ()) -> Path:
    """Copy an encoder of 32 numbers to a folder, put a head beside it, and return the folder."""
    shutil.copytree(encoder, folder)
    rng = np.random.default_rng(3)
    probe = load_model(str(folder), device="cpu").encode(PROBE, normalize_embeddings=True)
    UtilityHead(
        matrix=rng.normal(size=(32, 32)),
        slope=rng.normal(size=32),
        offset=0.25,
        probe=np.asarray(probe, dtype=np.float64),
        learned=np.sort(text_keys(learned)),
        card={"teacher": {"kind": "logprob", "model": "someone"}},
    ).write(folder)
    return folder
