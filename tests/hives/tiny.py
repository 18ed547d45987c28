"""A sentence encoder that is small enough to train in a test: two layers of 32 numbers, MiniLM's tokenizer."""

from pathlib import Path

import pandas as pd
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import AutoTokenizer, BertConfig, BertModel

from valueflow.encoder import model_source

SUBJECTS = ("my neighbour", "the old miller", "a friend of mine", "our mayor", "the new nurse", "his aunt")
VALUES = {
    "caring": ("nurses the sick", "feeds the hungry", "comforts the lonely"),
    "power": ("commands the crew", "owns the harbour", "silences the council"),
    "security": ("locks the gates", "guards the bridge", "stores the grain"),
}
PATHS = {
    "caring": ("growth", "self-transcendence", "benevolence"),
    "power": ("self-protection", "self-enhancement", "power"),
    "security": ("self-protection", "conservation", "security"),
}


def save_tiny_encoder(folder: Path, *, dropout: float = 0.1, seed: int = 0) -> Path:
    """Write a SentenceTransformer with random weights, the same in every run."""
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(model_source("minilm"))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    bare = folder / "bare"
    BertModel(config).save_pretrained(bare)
    tokenizer.save_pretrained(bare)
    transformer = Transformer(str(bare), max_seq_length=64)
    SentenceTransformer(modules=[transformer, Pooling(32)], device="cpu").save_pretrained(str(folder / "tiny"))
    return folder / "tiny"


def training_rows() -> pd.DataFrame:
    """Return 108 sentences of three values, for and against, in a training table with the columns of stage 2."""
    rows = []
    for value, deeds in VALUES.items():
        for subject in SUBJECTS:
            for deed in deeds:
                for direction, words in (("support", "rightly"), ("oppose", "to no good")):
                    rows.append(
                        {
                            "text": f"{subject} {deed} {words}",
                            "theory": "pvq" if subject < "n" else "duty",
                            **dict(zip(("level_1", "level_2", "level_3"), PATHS[value], strict=True)),
                            "direction": direction,
                            "selected_individual": f"{value}/{direction}/{'pvq' if subject < 'n' else 'duty'}",
                            "selected_anchor": f"{value}/{direction}",
                        }
                    )
    return pd.DataFrame(rows)
