"""Log-odds of single texts against generated rankings, same model: prompt tokens and seconds per response of a sweep.

    python benchmarks/log_odds_cost.py --llm qwen2_5_coder_1_5b

The sweep has five jobs: 100 of the demo's responses at each intensity, three windows per response. `judge=logprob`
judges all of it, and asks about each anchor once. A ranking costs what its window costs, whatever the job, so
`judge=llm` ranks the windows of the first responses only (`--ranked`). Both use one engine that is loaded beforehand,
and an empty cache.
"""

import argparse
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from record import cannot_run, record

from valueflow import evaluate_responses
from valueflow.responses import load_responses
from valueflow.run import InputError

VALUE, RESPONSES, M = "benevolence", 100, 3
BAR_TOKENS, BAR_SECONDS = 5.0, 10.0


@dataclass(frozen=True)
class Cost:
    """What judging has cost, per response."""

    responses: int
    prompt_tokens: float
    seconds: float
    failed_windows: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--llm", default="qwen2_5_coder_1_5b", help="an option of configs/llm that gives log-probabilities"
    )
    parser.add_argument("--dtype", default="float32", help="of its weights")
    parser.add_argument("--ranked", type=int, default=20, help="responses whose windows are ranked by generation")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/log_odds_cost.json"))
    options = parser.parse_args()
    table = load_responses(None, {})[0]
    jobs = [rows[["query", "response"]].head(RESPONSES) for _, rows in table.groupby("intensity")]
    model = {"llm": options.llm, "llm.dtype": options.dtype}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["VALUEFLOW_CACHE"] = cache
        try:
            cost(jobs[0][:1], judge="logprob", cache="off", **model)  # loads the model
        except InputError as error:
            return cannot_run(str(error))
        asked = [cost(rows, judge="logprob", **model) for rows in jobs]
        ranked = cost(jobs[0][: options.ranked], judge="llm", cache="off", **model)
    n = sum(one.responses for one in asked)
    single = Cost(
        n,
        sum(one.prompt_tokens * one.responses for one in asked) / n,
        sum(one.seconds * one.responses for one in asked) / n,
        0.0,
    )
    tokens, seconds = ranked.prompt_tokens / single.prompt_tokens, ranked.seconds / single.seconds
    for name, one in (("log-odds", single), ("rankings", ranked)):
        print(
            f"{options.llm}, {name}: {one.responses} responses, {one.prompt_tokens:.0f} prompt tokens and "
            f"{one.seconds:.2f} s per response, {one.failed_windows:.0%} of windows failed"
        )
    print(
        f"prompt tokens: {tokens:.1f} times fewer (bar {BAR_TOKENS:g}); "
        f"time: {seconds:.1f} times less (bar {BAR_SECONDS:g})"
    )
    record(
        options.out,
        {
            "llm": options.llm,
            "log_odds": asdict(single),
            "rankings": asdict(ranked),
            "ratios": {"prompt_tokens": tokens, "seconds": seconds},
            "bars": {"prompt_tokens": BAR_TOKENS, "seconds": BAR_SECONDS},
        },
    )
    return 0 if tokens >= BAR_TOKENS and seconds >= BAR_SECONDS else 1


def cost(rows: pd.DataFrame, **settings: Any) -> Cost:
    """Judge responses, and count what it took."""
    found = evaluate_responses(value=VALUE, responses=rows, m=M, judge_check=False, progress=False, **settings)
    judging = found.summary["judging"]
    return Cost(
        len(rows),
        judging["prompt_tokens"] / len(rows),
        found.summary["timings"]["judge"] / len(rows),
        found.summary["windows_failed"] / (len(rows) * M),
    )


if __name__ == "__main__":
    sys.exit(main())
