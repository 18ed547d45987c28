"""The sentence encoder that is trained: loaded with its pooling, padding, precision and attention."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from valueflow.encoder import load_model
from valueflow.hives.settings import BackboneSettings
from valueflow.run import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

FLASH = "flash_attention_2"


def load_backbone(settings: BackboneSettings, export: str | None = None) -> "SentenceTransformer":
    """Load the encoder that training starts from.

    Parameters
    ----------
    settings
        Which model, and how it is used.
    export
        A trained model's folder or name that is taken instead: it has its own pooling, padding and limit, so of the
        settings only `attention` and `dtype` count.

    Raises
    ------
    InputError
        There is no such model, or it has no pooling that could be set.
    """
    how: dict[str, Any] = {}
    attention = _attention(settings.attention)
    if attention is not None:
        how["attn_implementation"] = attention
    model = load_model(export or settings.model, device="cpu", dtype=settings.dtype, model_kwargs=how)
    if export is not None:
        return model
    if settings.pooling is not None:
        _set_pooling(model, settings)
    if settings.padding_side is not None:
        model.tokenizer.padding_side = settings.padding_side
    if settings.max_tokens is not None:
        model.max_seq_length = settings.max_tokens
    return model


def _attention(wanted: str) -> str | None:
    if wanted == FLASH and find_spec("flash_attn") is None:
        raise InputError(f"backbone.attention={FLASH}: the package flash-attn is not installed; give auto or sdpa")
    if wanted != "auto":
        return wanted
    if find_spec("flash_attn") is None:
        return None
    import torch

    return FLASH if torch.cuda.is_available() else None


def _set_pooling(model: "SentenceTransformer", settings: BackboneSettings) -> None:
    from sentence_transformers.sentence_transformer.modules import Pooling

    for place, module in enumerate(model):
        if isinstance(module, Pooling):
            model[place] = Pooling(model[0].get_embedding_dimension(), pooling_mode=settings.pooling)
            return
    raise InputError(
        f"backbone.pooling={settings.pooling}: model '{settings.model}' has no pooling of its own; give null"
    )
