"""What each part of HIVES buys, on validation texts: backbone, stages, losses, two-sided data, size of the data.

Every training is the demo's (`make train-demo`) with one thing changed. Figures are of the
validation texts of all data, the same for every row, with the standard error of the difference from the backbone;
nobody looks at the test texts. Half an hour to two hours on two cores, by `--rows`.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
from record import cannot_run, record

from valueflow import train
from valueflow.hives import ConvertedTable
from valueflow.hives.data import VALIDATION, load_splits
from valueflow.hives.settings import TrainSettings
from valueflow.run import compose_settings

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
ONE_SIDED = [str(DATA / "valueeval23_arguments_train.tsv"), str(DATA / "vidb_sample")]
TWO_SIDED = [*ONE_SIDED, str(DATA / "valuekaleidoscope_half.json")]
METRICS = ("ranking_accuracy", "similarity_correlation", "direction_accuracy", "value_macro_f1", "anchor_retrieval")

Change = dict[str, Any]

ROWS: dict[str, list[Change]] = {
    "backbone": [],
    "stage 1": [{}],
    "stages 1 and 2": [{}, {"experiment": "train_demo_inter"}],
    "stage 1, loss=hce": [{"loss": "hce"}],
    "stage 1, loss=hmce": [{"loss": "hmce"}],
    "stage 1, without situations": [{"share": 1.0, "sources": ONE_SIDED}],
    "stage 1, half of the texts": [{"share": 0.5}],
    "stage 1, a quarter of the texts": [{"share": 0.25}],
}
"""The trainings of each row, one after the other. `share` and `sources` say what is trained on."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), help="which rows; all by default")
    parser.add_argument("--backbone", default="minilm", choices=("minilm", "mpnet"))
    parser.add_argument("--work", type=Path, default=Path("outputs/hives_ablation"), help="where encoders are kept")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/hives_ablation.json"))
    options = parser.parse_args()
    if not DATA.is_dir():
        return cannot_run(f"{DATA} is not here; its texts may not be copied into the project")
    figures: dict[str, Mapping[str, Any]] = {}
    for name in options.rows:
        encoder = options.backbone
        for number, change in enumerate(ROWS[name]):
            # All rows that begin as the demo does share its stage 1.
            folder = f"{name}-{number}".replace(" ", "_").replace("=", "_") if change else "stage_1"
            encoder = _trained(options, folder, encoder, change)
        figures[name] = dict(_measured(options.backbone, encoder))
        cells = [f"{metric} {value:.3f} ({error:.3f})" for metric, (value, error) in figures[name].items()]
        print(f"{name:<32}", *cells, sep="  ", flush=True)
    record(options.out, {"backbone": options.backbone, "part": VALIDATION, "rows": figures})
    return 0


def _trained(options: argparse.Namespace, name: str, start: str, change: Change) -> str:
    """Train as the demo does, with a change, and return the folder of the encoder.

    One that is there is kept, if its training had the same settings, down to those of the demo, and the same start.
    """
    given: Change = {"experiment": "train_demo", "sources": TWO_SIDED, "share": 1.0} | change
    composed = compose_settings("train", {key: given[key] for key in given if key not in ("sources", "share")})
    digest = sha256(json.dumps([given, composed, start], sort_keys=True, default=str).encode()).hexdigest()[:8]
    folder: Path = options.work / options.backbone / f"{name}-{digest}"
    table = _training_texts(folder, given.pop("sources"), given.pop("share"))
    if not (folder / "summary.json").exists():
        given |= {} if start == options.backbone else {"model": start}
        given |= {"backbone": options.backbone, "data.train": str(table), "progress": False, "replicates": 0}
        given |= {"data.validation": str(_validation_texts(options.work)), "data.held_out": 0.0}
        train(output_dir=folder, **given)
    return str(folder / "model")


def _measured(backbone: str, encoder: str) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield metrics of the validation texts with the standard errors of their differences from the backbone's."""
    given: Change = {"experiment": "train_demo", "backbone": backbone, "data.train": TWO_SIDED}
    found = train(task="test", measure=VALIDATION, model=encoder, baseline=backbone, **given).summary
    errors = found["baselines"][0]["difference_standard_errors"]
    for metric in METRICS:
        yield metric, (found["after"]["overall"][metric], errors[metric])


def _training_texts(folder: Path, sources: list[str], share: float) -> Path:
    """Write the training texts of some sources, or a random `share` of them, as a training table."""
    path = folder / "training.csv"
    if not path.exists():
        texts = pd.Series(load_splits(_settings(sources).data, _settings(sources).seed).training.texts)
        _write_rows(sources, set(texts.drop_duplicates().sample(frac=share, random_state=0)), path)
    return path


def _validation_texts(work: Path) -> Path:
    """Write the validation texts of all data as a training table."""
    path = work / "validation.csv"
    if not path.exists():
        validation = load_splits(_settings(TWO_SIDED).data, _settings(TWO_SIDED).seed).validation
        assert validation is not None
        _write_rows(TWO_SIDED, set(validation.texts), path)
    return path


def _write_rows(sources: list[str], texts: set[str], path: Path) -> None:
    given: Change = {"experiment": "train_demo", "data.train": sources}
    converted = train(task="convert", **given)
    assert isinstance(converted, ConvertedTable)
    path.parent.mkdir(parents=True, exist_ok=True)
    converted.table[converted.table["text"].isin(texts)].to_csv(path, index=False)


def _settings(sources: list[str]) -> TrainSettings:
    return TrainSettings.checked(compose_settings("train", {"experiment": "train_demo", "data.train": sources}))


if __name__ == "__main__":
    sys.exit(main())
