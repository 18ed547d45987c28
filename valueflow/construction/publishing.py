"""A database as others use it: contract files, Parquet, a data card, the Hugging Face hub."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from valueflow.run import InputError, number, replacing, write_csv
from valueflow.theory import Theory

CARD_FILE = "README.md"


def publish(
    database: pd.DataFrame, theory: Theory, value: str, summary: Mapping[str, Any], folder: Path, push_to: str | None
) -> None:
    """Write a database into a folder that `evaluate.py vidb=FOLDER` reads, and upload it where a name is given.

    Parameters
    ----------
    database
        Its rows, with `text` and `final_rating`.
    theory, value
        What it rates; they name the files.
    summary
        Of the run; the card is made of it.
    folder
        Where to.
    push_to
        Name of a dataset on the hub; None: none. The token is the hub library's own, from its environment.

    Raises
    ------
    InputError
        The hub does not take it. The files are written all the same.
    """
    write_csv(database, folder / f"{value}_{theory.name}_flag_aggregated.csv")
    labelled = database.assign(theory=theory.name, value=value)
    with replacing(folder / f"{value}_{theory.name}.parquet") as temporary:
        labelled.to_parquet(temporary, index=False)
    with replacing(folder / CARD_FILE) as temporary:
        temporary.write_text(data_card(theory, value, summary), encoding="utf-8")
    if push_to is not None:
        _push(folder, push_to)


def data_card(theory: Theory, value: str, summary: Mapping[str, Any]) -> str:
    """Word what a database is, how it was made and how far it can be trusted, in Markdown."""
    settings, halves = summary["settings"], summary["split_half"]
    named = {key: summary["judge"].get(key) for key in ("kind", "model", "encoder", "prompt")}
    judge = ", ".join(f"{key} {entry}" for key, entry in named.items() if entry)
    members = [judge["name"] for judge in summary["judges"]]
    rows = {
        "theory": theory.title,
        "value": theory.nodes[value].label,
        "texts published": f"{summary['published']:,}",
        "texts given": f"{summary['texts']:,} different ones in {summary['rows']:,} rows",
        "left out as odd (outfit)": f"{summary['flagged']:,}",
        "left out as odd (panel)": f"{summary['found_odd']:,}",
        "left out as people disagree": f"{summary['people_disagree']:,}",
        "rated by people": f"{summary['reviewed']:,}",
        "judge": judge + (f" ({', '.join(members)})" if len(members) > 1 else ""),
        "texts in a window (K)": str(settings["k"]),
        "windows per text (m)": f"{settings['m']}, the first {settings['random_rounds']} random",
        "windows": f"{summary['windows']:,}; rankings failed: {summary['rankings_failed']:,}",
        "split-half reliability": f"Spearman {number(halves['spearman'], '.3f')}, "
        f"Pearson {number(halves['pearson'], '.3f')} (of the whole {number(halves['stepped_up'], '.3f')})",
        "scale": f"{summary['scale']['kind']}, {summary['known']:,} texts with known ratings, "
        f"{summary['neutral']:,} marked as neutral",
        "source of the texts": settings["source"] or "not given",
        "license of the texts": settings["license"] or "not given",
        "seed": str(summary["seed"]),
    }
    lines = [f"| {name} | {_cell(entry)} |" for name, entry in rows.items()]
    head = ["---", f"license: {_yaml(settings['license'] or 'unknown')}", "---", ""]
    title = f"# Value intensity database: {_cell(theory.nodes[value].label)}"
    use = (
        "`final_rating` is the intensity in [-10, 10] that a text expresses, `standard_error` its standard error in "
        f"the same points. Use it with `python evaluate.py theory={theory.name} value={value} vidb=FOLDER`."
    )
    return "\n".join([*head, title, "", use, "", "| what | |", "| --- | --- |", *lines, ""])


def _cell(entry: str) -> str:
    return " ".join(entry.replace("|", "\\|").split())


def _yaml(entry: str) -> str:
    # A JSON string is a YAML string, whatever it holds.
    return json.dumps(entry)


def _push(folder: Path, name: str) -> None:
    from huggingface_hub import HfApi

    try:
        hub = HfApi()
        hub.create_repo(name, repo_type="dataset", private=True, exist_ok=True)
        hub.upload_folder(repo_id=name, repo_type="dataset", folder_path=str(folder))
    except Exception as error:  # the library raises a dozen types, from HTTP errors to ValueError
        raise InputError(f"push_to: {name} could not be uploaded: {type(error).__name__}: {error}") from error
