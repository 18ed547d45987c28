"""Embedding a file of short texts by `extract`, against `SentenceTransformer.encode` on the whole list in memory.

    python benchmarks/extraction.py [--texts N] [--out FILE]

Each side runs in a process of its own with the packaged MiniLM, loaded and warmed up beforehand. `extract` reads the
file three times and writes vectors and texts; the peer gets the list and keeps its vectors. Peak memory is what the
system reports of each process: for a quarter of the texts and for all of them it should be the same.
"""

import argparse
import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from record import record

BAR_RATIO, BAR_GROWTH_MIB = 0.95, 50.0
BATCH_SIZE = 64

VOCABULARY = """
I you we they nobody everyone my your their this that every neighbour friend stranger child teacher nurse judge
keep break promise help harm share take give hide tell admit deny defend obey refuse respect insult protect leave
truth money power freedom family country law rule tradition nature animal peace safety pleasure adventure success
duty right care fairness loyalty honour humility curiosity kindness revenge gratitude always never often today
tomorrow without although because while if when for against with after before quietly openly gladly unwillingly
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/extraction.json"))
    parser.add_argument("--side", nargs=2, metavar=("NAME", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measured(options.side[0], Path(options.side[1]))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        whole, quarter = Path(folder) / "whole.csv", Path(folder) / "quarter.csv"
        texts = sentences(options.texts)
        write(texts, whole)
        write(texts[: len(texts) // 4], quarter)
        small, peer, ours = side("extract", quarter), side("encode", whole), side("extract", whole)
    ratio, growth = peer.seconds / ours.seconds, ours.peak_mib - small.peak_mib
    print(f"{options.texts:,} texts: extract {ours.rate:,.0f} a second, encode {peer.rate:,.0f}")
    print(f"ratio of rates {ratio:.3f} (of processor time {peer.cpu_seconds / ours.cpu_seconds:.3f})   bar {BAR_RATIO}")
    print(
        f"peak memory {small.peak_mib:,.0f} MiB for a quarter, {ours.peak_mib:,.0f} for all: {growth:+.0f}   bar "
        f"{BAR_GROWTH_MIB:g} (encode for all: {peer.peak_mib:,.0f})"
    )
    record(
        options.out,
        {
            "texts": options.texts,
            "ratio_of_rates": ratio,
            "ratio_of_processor_time": peer.cpu_seconds / ours.cpu_seconds,
            "growth_mib": growth,
            "sides": {"extract": vars(ours), "encode": vars(peer), "extract_a_quarter": vars(small)},
            "bars": {"ratio_of_rates": BAR_RATIO, "growth_mib": BAR_GROWTH_MIB},
        },
    )
    return 0 if ratio >= BAR_RATIO and growth <= BAR_GROWTH_MIB else 1


@dataclass(frozen=True)
class Side:
    """What one side took; seconds without loading the model."""

    texts: int
    seconds: float
    cpu_seconds: float
    peak_mib: float

    @property
    def rate(self) -> float:
        """Texts a second."""
        return self.texts / self.seconds


def sentences(n: int) -> list[str]:
    """Draw sentences of 5 to 15 words, the same ones each time."""
    draw, words = random.Random(0), VOCABULARY.split()
    return [" ".join(draw.choices(words, k=draw.randint(5, 15))).capitalize() + "." for _ in range(n)]


def write(texts: list[str], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["text"], *([text] for text in texts)])


def side(name: str, file: Path) -> Side:
    done = subprocess.run([sys.executable, __file__, "--side", name, str(file)], stdout=subprocess.PIPE, check=True)
    return Side(**json.loads(done.stdout.splitlines()[-1]))


def measured(name: str, file: Path) -> dict[str, Any]:
    from valueflow import extract
    from valueflow.encoder import load_model

    model = load_model("minilm")
    model.encode(sentences(2 * BATCH_SIZE), batch_size=BATCH_SIZE)
    texts = []
    if name == "encode":
        with file.open(encoding="utf-8", newline="") as stream:
            texts = [row["text"] for row in csv.DictReader(stream)]
    start, cpu = time.perf_counter(), time.process_time()
    if name == "encode":
        n = len(model.encode(texts, batch_size=BATCH_SIZE, normalize_embeddings=True, show_progress_bar=False))
    else:
        result = extract(
            model=model, input=file, theory="pvq", batch_size=BATCH_SIZE, output_dir=file.parent / "out", progress=False
        )
        n = result.summary["texts"]
    return {
        "texts": n,
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    sys.exit(main())
