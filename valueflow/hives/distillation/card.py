"""What a distilled encoder says of itself: a card for its head (JSON) and one for its folder (Markdown)."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from valueflow.hives.distillation.texts import LearnedValue
from valueflow.run import number, plain, versions

FORMULA = (
    "u(t, s, o) = t'(A (s - o) + a) + c; t, s, o: embeddings of length 1 of a text, and of texts that say that "
    "somebody supports or opposes 'label: definition'"
)


def head_card(summary: Mapping[str, Any], values: Iterable[LearnedValue], digest: str) -> dict[str, Any]:
    """Return the card of a head: formula, teacher (with the digests of its prompts), values, texts, versions."""
    data = summary["data"]
    return {
        "formula": FORMULA,
        "unit": "standard deviations of the teacher's utilities on a value",
        "teacher": summary["teacher"],
        "encoder": summary["model"],
        "values": [value.name for value in values],
        "texts": {
            "sources": data["sources"],
            "training": data["training"],
            "held_out": data["held_out"],
            "digest": digest,
        },
        "correlation": summary["correlation"],
        "meaning": summary["meaning"],
        "seed": summary["settings"]["seed"],
        "versions": versions(),
    }


def texts_digest(texts: Iterable[str]) -> str:
    """Return a SHA-256 of different texts, in any order."""
    digest = hashlib.sha256()
    for text in sorted(texts):
        # Of equal length for each: no two sets of texts run together to the same bytes.
        digest.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    return digest.hexdigest()


def folder_card(summary: Mapping[str, Any]) -> str:
    """Word a model card in Markdown, with the metadata that the hub reads."""
    data, teacher = summary["data"], summary["teacher"]
    name = teacher.get("model") or teacher.get("encoder") or teacher.get("kind", "a judge")
    lines = [
        "---",
        "library_name: sentence-transformers",
        "pipeline_tag: sentence-similarity",
        "tags: [sentence-transformers, human-values, valueflow, distillation]",
        "---",
        "",
        "# Distilled value judge",
        "",
        f"A sentence encoder with a head that was trained with ValueFlow from `{summary['model']}` to give texts the "
        f"utilities that `{name}` (`judge={teacher.get('kind', '?')}`) gives them, on any value with a definition.",
        "",
        "```bash",
        "python evaluate.py value=power judge.encoder=THIS_FOLDER",
        "```",
        "",
        f"{data['training']:,} training texts and {data['held_out']:,} held-out texts, {data['pairs']:,} answers of "
        "the teacher, from:",
        "",
        *[f"- `{source}`" for source in data["sources"]],
        "",
        "Their licenses and the teacher's are those of their sources, and may restrict what this model may be for.",
        "",
        "## Agreement with the teacher",
        "",
        *_agreement(summary),
        "",
        "## Settings",
        "",
        "```json",
        json.dumps(plain({"teacher": teacher, **summary["settings"]}), indent=2, ensure_ascii=False),
        "```",
        "",
    ]
    return "\n".join(lines)


def _agreement(summary: Mapping[str, Any]) -> list[str]:
    measured = summary["correlation"]
    rows = [
        f"| {label} | {' | '.join(number(measured[name][end], '.3f') for end in ('mean', 'low', 'high'))} |"
        for label, name in (("untrained encoder, fitted on anchors", "untrained"), ("student", "student"))
        if measured
    ]
    table = ["| held-out texts | mean Spearman | from | to (95%) |", "| --- | --- | --- | --- |", *rows] if rows else []
    return [*table, *[f"\n{line}" for line in summary["meaning"]]]
