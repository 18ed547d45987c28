"""A tiny Llama in whose residual stream one direction is planted, and anchors that lie along it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.llm.test_transformers_engine import TEMPLATE, byte_tokenizer

WIDTH, LAYERS = 32, 4


def write_planted_model(folder: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Save a model that reads and writes "+" and "-" far out on both sides of a direction, and return this."""
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(11)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2000,
        initializer_range=0.1,
    )
    model = LlamaForCausalLM(config)
    planted = torch.randn(WIDTH, generator=torch.Generator().manual_seed(5))
    planted /= planted.norm()
    with torch.no_grad():
        for sign, character in ((1, "+"), (-1, "-")):
            (token,) = tokenizer(character, add_special_tokens=False)["input_ids"]
            model.model.embed_tokens.weight[token] += sign * 4 * planted
            model.lm_head.weight[token] += sign * 4 * planted
    model.generation_config.update(eos_token_id=[256])
    model.save_pretrained(folder)
    return planted.double().numpy()


def write_anchors(file: Path, values: tuple[str, ...] = ("power", "security"), lowest: float = -9.0) -> Path:
    rng = np.random.default_rng(2)
    ratings = np.linspace(lowest, 9, 30)
    rows = [
        {
            "theory": "pvq",
            "value": value,
            "text": "".join(rng.choice(list("abcdefgh "), 20)) + ("+" if rating > 0 else "-") * 8,
            "final_rating": round(float(rating), 2),
        }
        for value in values
        for rating in ratings
    ]
    pd.DataFrame(rows).to_csv(file, index=False)
    return file
