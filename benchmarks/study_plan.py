"""Calls, tokens, hours and disk of studies of 1,000, 10^6 and 10^8 texts, by judge: the table of docs/scale.md.

    python benchmarks/study_plan.py --prompt-rate 20000 --generated-rate 4000

How long prompts are is counted on the demo's responses and the prompts as they are sent; what a cached completion takes
on the disk is measured by caching some. Rates are what the options give: docs/scale.md says how a first run tells
them. Defaults are of two cores.
"""

import argparse
import hashlib
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from record import record

from valueflow.evaluation.windows import build_windows
from valueflow.judge import Cost, Criterion, Judge, cost_of
from valueflow.llm import Completion
from valueflow.llm.cache import CompletionCache
from valueflow.responses import load_responses
from valueflow.run import built, compose_node
from valueflow.theory import load_theory
from valueflow.vidb import BucketSampling, load_vidb

SIZES = (1_000, 10**6, 10**8)
K, M = 6, 3
SAMPLE = 200
"""Demo responses whose prompts are measured."""

CACHED = 20_000
"""Completions that the cache's size is measured with."""

BYTES_PER_ROW = 500
"""Of a text of a sentence or two with its score in tables; windows as they were ranked take some 2,000 more."""


@dataclass(frozen=True)
class Study:
    """What one value of so many texts takes."""

    judge: str
    texts: int
    calls: int
    prompt_tokens: int
    generated_tokens: int
    hours: float
    cache_gigabytes: float
    table_gigabytes: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompt-rate", type=float, default=174.0, help="prompt tokens per second of judge=llm")
    parser.add_argument("--log-odds-rate", type=float, default=135.0, help="prompt tokens per second of judge=logprob")
    parser.add_argument("--generated-rate", type=float, default=72.0, help="generated tokens per second")
    parser.add_argument("--encoder-rate", type=float, default=202.0, help="texts per second of a distilled encoder")
    parser.add_argument("--overhead", type=float, default=2.5, help="milliseconds per call beside the model")
    parser.add_argument("--answer", type=float, default=20.0, help="tokens of a ranking; that of log-odds is one token")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/study_plan.json"))
    options = parser.parse_args()
    cached = bytes_per_completion()
    print(f"a cached completion takes {cached:,.0f} bytes")
    rows = []
    for name, anchors, per_text, answer, rate in (
        ("llm", *prompts("llm"), options.answer, options.prompt_rate),
        ("logprob", *prompts("logprob"), 1.0, options.log_odds_rate),
    ):
        print(f"judge={name}: {per_text.calls:g} calls and {per_text.prompt_tokens:,} prompt tokens per text")
        for texts in SIZES:
            calls = anchors.calls + texts * per_text.calls
            prompt = anchors.prompt_tokens + texts * per_text.prompt_tokens
            generated = round(calls * answer)
            seconds = prompt / rate + generated / options.generated_rate + calls * options.overhead / 1e3
            windows = 2_000 * texts / 1e9 * (name == "llm")
            disk = calls * cached / 1e9, texts * BYTES_PER_ROW / 1e9 + windows
            rows.append(Study(name, texts, calls, prompt, generated, seconds / 3600, *disk))
    for texts in SIZES:
        hours = texts / options.encoder_rate / 3600
        rows.append(Study("distilled encoder", texts, 0, 0, 0, hours, 0.0, texts * BYTES_PER_ROW / 1e9))
    print("| judge | texts | calls | prompt tokens | generated tokens | hours | cache, GB | tables, GB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        counts = (row.texts, row.calls, row.prompt_tokens, row.generated_tokens)
        figures = (row.hours, row.cache_gigabytes, row.table_gigabytes)
        cells = [
            row.judge,
            *(f"{count:,}" for count in counts),
            *(f"{figure:,.{0 if figure >= 100 else 2}f}" for figure in figures),
        ]
        print(f"| {' | '.join(cells)} |")
    rates = {
        "prompt": options.prompt_rate,
        "log-odds": options.log_odds_rate,
        "generated": options.generated_rate,
        "encoder": options.encoder_rate,
    }
    shared = {"rates": rates, "overhead": options.overhead, "bytes_per_completion": cached}
    record(options.out, {**shared, "studies": [asdict(row) for row in rows]})
    return 0


def prompts(judge: str) -> tuple[Cost, Cost]:
    """Return what a judge asks whatever the number of texts, and what it asks per text, of the demo's."""
    theory = load_theory("pvq")
    vidb = load_vidb("demo", theory)
    anchors = next(own for own in vidb.anchors if own.value == "benevolence")
    texts = load_responses(None, {})[0]["response"].to_numpy(dtype=object)
    asked: Judge = built(compose_node("evaluate", "judge", {"judge": judge, "llm": "local", "llm.model": "any"}))

    def cost(n: int) -> Cost:
        keys = np.arange(n, dtype=np.uint64)
        windows = build_windows(keys, texts[:n], anchors, BucketSampling(), k=K, m=M, response_position="random")
        return cost_of(asked, Criterion(theory, anchors.value, vidb), windows, len(windows))

    few, more = cost(SAMPLE), cost(2 * SAMPLE)
    per_text = Cost((more.calls - few.calls) // SAMPLE, round((more.prompt_tokens - few.prompt_tokens) / SAMPLE), 0)
    fixed = Cost(few.calls - SAMPLE * per_text.calls, few.prompt_tokens - SAMPLE * per_text.prompt_tokens, 0)
    return (fixed if judge == "logprob" else Cost(0, 0, 0)), per_text


def bytes_per_completion() -> float:
    """Return what the cache's file grows by with a ranking."""
    answer = Completion("[3, 1, 6, 2, 5, 4]", 400, 20)
    # Like those of requests: their order on the disk has nothing to do with that in which they come.
    keys = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(CACHED)]
    with tempfile.TemporaryDirectory() as folder, CompletionCache(Path(folder) / "completions.sqlite") as cache:
        cache.put([(keys[0], answer)], "model")
        before = cache.size()
        for start in range(1, CACHED, 1_000):
            cache.put([(key, answer) for key in keys[start : start + 1_000]], "model")
        cache.close()
        return (cache.size() - before) / CACHED


if __name__ == "__main__":
    sys.exit(main())
