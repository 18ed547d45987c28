"""A trained encoder as a SentenceTransformer folder, with a model card that describes its training."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valueflow.hives.training.checkpoints import remove_checkpoints
from valueflow.run import LEFT_UNDONE, InputError, plain, without_library_bars

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

MODEL_FOLDER = "model"
CARD_FILE = "README.md"

_METRICS = (
    "ranking_accuracy",
    "strict_accuracy",
    "similarity_correlation",
    "orthogonality",
    "direction_accuracy",
    "direction_accuracy_chance",
    "value_recall_at_3",
    "value_macro_f1",
    "anchor_retrieval",
)


def _nothing(folder: Path) -> None:
    """Write nothing."""


def export_model(
    model: "SentenceTransformer", folder: Path, card: str, *, add: Callable[[Path], None] = _nothing
) -> None:
    """Write a SentenceTransformer folder; it is there whole or not at all.

    Parameters
    ----------
    model
        The trained encoder; its weights are written as safetensors.
    folder
        Where to; an older export is replaced.
    card
        The model card, in Markdown.
    add
        Writes what the folder has besides the encoder and its card.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        with without_library_bars():
            model.save_pretrained(str(temporary), create_model_card=False)
        (temporary / CARD_FILE).write_text(card, encoding="utf-8")
        add(temporary)
        temporary.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def model_card(summary: Mapping[str, Any]) -> str:
    """Word a model card in Markdown, with the metadata that the hub reads."""
    stage = summary["settings"]["stage"]["name"]
    data, before, after = summary["data"], summary["before"], summary["after"]
    lines = [
        "---",
        "library_name: sentence-transformers",
        "pipeline_tag: sentence-similarity",
        "tags: [sentence-transformers, human-values, valueflow, hives]",
        "---",
        "",
        f"# HIVES value embedding, stage {1 if stage == 'intra' else 2}",
        "",
        f"A sentence encoder that places texts by the human values they express ({', '.join(data['theories'])}). It "
        f"was trained with ValueFlow from `{summary['model']}`; loss `{summary['loss']}`, "
        f"{summary['steps']:,} steps, the weights of step {summary['best_step']:,}{_start(summary)}.",
        "",
        "```python",
        "from sentence_transformers import SentenceTransformer",
        "",
        'vectors = SentenceTransformer("THIS FOLDER").encode(["A promise is a promise."], normalize_embeddings=True)',
        "```",
        "",
        "## Data",
        "",
        f"{data['training']:,} training, {data['validation']:,} validation and {data['test']:,} test texts, from:",
        "",
        *[f"- `{source}`" for source in data["sources"]],
        "",
        "Their licenses are those of their sources, and may restrict what this model may be used for.",
        "",
        f"## Metrics on the {data['measured'] or 'held-out'} texts",
        "",
        "| metric | before | after |",
        "| --- | --- | --- |",
        *[
            f"| {name.replace('_', ' ')} | {_formatted(before, name)} | {_formatted(after, name)} |"
            for name in _METRICS
            if _formatted(after, name) != "-"
        ],
        "",
        "## Settings",
        "",
        "```json",
        json.dumps(plain(summary["settings"]), indent=2, ensure_ascii=False),
        "```",
        "",
    ]
    return "\n".join(lines)


def finish(model: "SentenceTransformer", name: str | None, folder: Path) -> dict[str, str]:
    """Send an export to the hub, if it has a name there, and remove the checkpoints of its training.

    The repository is private; the key comes from the environment or the hub's own login. Where the hub refuses the
    export or cannot be reached, the checkpoints stay: a run that resumes has no step left and sends it again.

    Parameters
    ----------
    model, folder
        The trained encoder, and where its export is, beside the checkpoints.
    name
        Of the repository; None: the export stays where it is.

    Returns
    -------
    dict
        What the summary says of it: `pushed_to`, or why it is `LEFT_UNDONE`; nothing where there is nothing to send.
    """
    said = {}
    if name is not None:
        try:
            url = model.push_to_hub(name, private=True, local_model_path=str(folder), exist_ok=True)
        except Exception as error:  # the hub's library raises anything from an HTTP error to a ValueError
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            fault = f"push_to_hub={name}: {reason}; the trained model is in {folder}, and resume=true sends it"
            return {LEFT_UNDONE: str(InputError(fault))}
        said = {"pushed_to": str(url)}
    remove_checkpoints(folder.parent)
    return said


def _start(summary: Mapping[str, Any]) -> str:
    share = summary["settings"]["start_share"]
    return f", of which {share:.0%} are those it started from" if share else ""


def _formatted(metrics: Mapping[str, Any] | None, name: str) -> str:
    value = metrics["overall"].get(name) if metrics else None
    return "-" if value is None else f"{value:.3f}"
