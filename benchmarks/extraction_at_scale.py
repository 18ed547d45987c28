"""Embedding a long file of short texts in one process, in two shards, and by two actors of Ray.

    python benchmarks/extraction_at_scale.py [--texts N] [--out FILE]

The encoder is tiny and random, made on the spot, so that what is measured is all that is around it. Each way runs
`extract.py` as a person does. The shards run one after another: their rate is that of one machine, and two machines
take half the time. Rates are of embedding alone (starting Ray takes seconds once, and while it starts it begins to
embed) and of all commands. Memory is the sum of what a command and the processes it has started hold, without counting
twice what they share (PSS), sampled twice a second. Its growth is the peak of the last third of a command's time less
that of the middle third: with fewer than some 300,000 texts, that is Ray starting.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from extraction import sentences, write
from record import record

from valueflow.encoder import model_source

BAR_DIFFERENCE, BAR_GROWTH_MIB = 1e-6, 100.0
_PROGRAM = Path(__file__).resolve().parents[1] / "extract.py"
_SECONDS_BETWEEN_SAMPLES = 0.5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=300_000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/extraction_at_scale.json"))
    options = parser.parse_args()
    ways = ["process", "shards", *(["ray"] if find_spec("ray") else [])]
    if "ray" not in ways:
        print("ray is not installed: pip install 'valueflow[ray-data]'; the other two ways are measured")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoder = save_tiny_encoder(folder)
        texts = sentences(options.texts)
        write(texts, folder / "texts.csv")
        del texts
        sides = {way: side(way, folder / "texts.csv", encoder, folder / way) for way in ways}
        differences = {way: difference(folder / "process" / "whole", folder / way / "whole") for way in ways[1:]}
    good = True
    for way, own in sides.items():
        good &= own.growth_mib <= BAR_GROWTH_MIB
        print(
            f"{way:8} {own.embedding_rate:8,.0f} texts a second ({own.texts / own.seconds:,.0f} with all that is "
            f"around)   peak memory {own.peak_mib:,.0f} MiB, growth {own.growth_mib:+,.0f}   bar {BAR_GROWTH_MIB:g}"
        )
    for way, found in differences.items():
        good &= found <= BAR_DIFFERENCE
        print(f"{way:8} vectors differ from one process's by {found:.1e} at most   bar {BAR_DIFFERENCE:g}")
    record(
        options.out,
        {
            "texts": options.texts,
            "sides": {way: vars(own) for way, own in sides.items()},
            "differences": differences,
            "bars": {"difference": BAR_DIFFERENCE, "growth_mib": BAR_GROWTH_MIB},
        },
    )
    return 0 if good else 1


@dataclass(frozen=True)
class Side:
    """What a way took: seconds of its commands, texts embedded a second, memory of the command that held most."""

    texts: int
    seconds: float
    embedding_rate: float
    peak_mib: float
    growth_mib: float


def side(way: str, file: Path, encoder: Path, folder: Path) -> Side:
    """Run a way; the vectors of all texts are in `folder/whole` afterwards."""
    common = [f"input={file}", f"model={encoder}", "theory=pvq", "progress=false"]
    commands = {
        "process": [[f"hydra.run.dir={folder / 'whole'}"]],
        "shards": [
            *([f"shard={part}/2", f"hydra.run.dir={folder / 'shards' / str(part)}"] for part in (1, 2)),
            [f"merge={folder / 'shards'}", f"hydra.run.dir={folder / 'whole'}"],
        ],
        "ray": [["engine=ray", "engine.actors=2", f"hydra.run.dir={folder / 'whole'}"]],
    }[way]
    start = time.perf_counter()
    peaks = [peaks_of_thirds([sys.executable, str(_PROGRAM), *common, *own]) for own in commands]
    seconds = time.perf_counter() - start
    embedding = folder.glob("shards/*/summary.json") if way == "shards" else folder.glob("whole/summary.json")
    summaries = [json.loads(path.read_text(encoding="utf-8")) for path in embedding]
    texts = sum(summary["texts"] for summary in summaries)
    return Side(
        texts=texts,
        seconds=seconds,
        embedding_rate=texts / sum(summary["timings"]["embed"] for summary in summaries),
        peak_mib=max(map(max, peaks)),
        growth_mib=max(last - middle for _, middle, last in peaks),
    )


def peaks_of_thirds(command: list[str]) -> tuple[float, float, float]:
    """Run a command; return the largest sum, in MiB, of what it and all it starts hold, in each third of its time."""
    held = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            held.append(sum(proportional_kib(pid) for pid in tree(process.pid)) / 1024)
            time.sleep(_SECONDS_BETWEEN_SAMPLES)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    first, middle, last = (float(part.max(initial=0.0)) for part in np.array_split(held, 3))
    return first, middle, last


def tree(root: int) -> set[int]:
    """Return the processes that descend from one, with it."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                # The name, in parentheses, may hold blanks.
                parents[int(entry)] = int(Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has ended meanwhile
    found, last = {root}, set[int]()
    while found != last:
        last, found = found, found | {pid for pid, parent in parents.items() if parent in found}
    return found


def proportional_kib(pid: int) -> int:
    try:
        lines = Path("/proc", str(pid), "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def difference(one: Path, other: Path) -> float:
    """Return the largest difference of two runs' vectors; their texts must be the same."""
    with np.load(one / "embedding_pvq.npz") as first, np.load(other / "embedding_pvq.npz") as second:
        if not np.array_equal(first["texts"], second["texts"]):
            raise SystemExit(f"{other} holds other texts than {one}")
        return float(np.abs(first["embeddings"] - second["embeddings"]).max())


def save_tiny_encoder(folder: Path) -> Path:
    """Write a SentenceTransformer of one layer of 32 numbers with random weights and MiniLM's tokenizer."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(model_source("minilm"))
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(folder / "bare")
    tokenizer.save_pretrained(folder / "bare")
    layers = Transformer(str(folder / "bare"), max_seq_length=64)
    SentenceTransformer(modules=[layers, Pooling(32)], device="cpu").save_pretrained(str(folder / "tiny"))
    return folder / "tiny"


if __name__ == "__main__":
    sys.exit(main())
