"""The judging stage with vLLM, against vLLM itself on the very same prompts: one raw batch of `LLM.chat`, or singly.

The stage is all that `judge=llm` does with windows: wording prompts, the engine, keeping every answer in the cache,
reading rankings. The peer gets the finished conversations and the same constraint, and does nothing with its answers.
Both engines are loaded beforehand and take turns, each turn with new windows of the demo responses. The model is the
packaged SmolLM2: the smaller the model, the more shows what a call costs beside it.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from record import cannot_run, record

from valueflow.evaluation.windows import build_windows
from valueflow.judge import Criterion, LLMJudge, Windows, permutation_constraint
from valueflow.llm import VllmModel, model_folder, release, running_engine
from valueflow.responses import load_responses
from valueflow.run import built, compose_group
from valueflow.theory import load_theory
from valueflow.vidb import BucketSampling, load_vidb

TURNS = 3
K = 6
BAR_RATIO, BAR_SPEEDUP = 0.95, 2.5
MOST_TOKENS = 50


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=120, help="in a turn")
    parser.add_argument("--singly", type=int, default=30, help="windows asked one after another")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/judging.json"))
    options = parser.parse_args()
    try:
        from vllm import LLM, SamplingParams
        from vllm.sampling_params import StructuredOutputsParams
    except ImportError:
        return cannot_run("vLLM is not installed here; `make bench-vllm` has an environment with it")
    folder = str(model_folder("smollm2"))
    theory = load_theory("pvq")
    vidb = load_vidb("demo", theory, {})
    criterion = Criterion(theory, "benevolence", vidb)
    texts = load_responses(None, {})[0]["response"].to_numpy(dtype=object)

    def windows(turn: int) -> Windows:
        draw = np.random.default_rng(turn)
        keys = draw.integers(0, 2**63, options.windows, dtype=np.uint64)
        chosen = texts[draw.integers(0, len(texts), options.windows)]
        anchors = vidb.of(theory, criterion.value)
        return build_windows(keys, chosen, anchors, BucketSampling(), k=K, m=1, response_position="random")

    shared = {"dtype": "float32", "enforce_eager": True, "max_model_len": 4096}
    model = VllmModel.checked({"model": folder, **shared})
    judge = LLMJudge(llm=model, prompt=built(compose_group("prompt", "default")), max_tokens=MOST_TOKENS)
    prompt = judge.prompt.about(theory, criterion.value)
    running_engine(model)
    raw = LLM(model=folder, **shared)
    sampling = SamplingParams(
        temperature=0.0,
        max_tokens=MOST_TOKENS,
        structured_outputs=StructuredOutputsParams(grammar=permutation_constraint(K).grammar),
    )

    def stage_seconds(turn: int) -> float:
        start = time.perf_counter()
        rankings = judge.rank(criterion, windows(turn), lambda done, failed, note="": None)
        seconds = time.perf_counter() - start
        assert rankings.ranked.all()
        return seconds

    def raw_seconds(turn: int) -> float:
        conversations = [list(conversation) for conversation in judge.conversations(prompt, windows(turn))[0]]
        start = time.perf_counter()
        raw.chat(conversations, sampling, use_tqdm=False)
        return float(time.perf_counter() - start)

    def single_seconds(turn: int) -> float:
        """Return the seconds of one call."""
        conversations = [list(conversation) for conversation in judge.conversations(prompt, windows(turn))[0]]
        start = time.perf_counter()
        for conversation in conversations[: options.singly]:
            raw.chat(conversation, sampling, use_tqdm=False)
        seconds = time.perf_counter() - start
        return seconds / int(options.singly)

    with tempfile.TemporaryDirectory() as cache:
        os.environ["VALUEFLOW_CACHE"] = cache
        stage_seconds(0), raw_seconds(0)  # the first turn of an engine compiles its grammar
        turns = [(stage_seconds(turn), raw_seconds(turn)) for turn in range(1, TURNS + 1)]
        alone = single_seconds(TURNS + 1)
        release()
    ours, peer = (statistics.median(seconds) for seconds in zip(*turns, strict=True))
    ratio, speedup = peer / ours, alone * options.windows / ours
    print(f"judging {options.windows} windows:       {ours:6.1f} s, {options.windows / ours:.2f} a second")
    print(f"raw LLM.chat, one batch:   {peer:6.1f} s; our throughput is {ratio:.1%} of it   bar {BAR_RATIO:.0%}")
    print(f"raw LLM.chat, one by one:  {alone:6.2f} s each; we are {speedup:.1f} times faster   bar {BAR_SPEEDUP}")
    record(
        options.out,
        {
            "windows": options.windows,
            "turns_seconds": [[round(seconds, 3) for seconds in turn] for turn in turns],
            "stage_seconds": ours,
            "raw_batch_seconds": peer,
            "raw_single_seconds_each": alone,
            "ratio_to_raw_batch": ratio,
            "speedup_over_one_at_a_time": speedup,
            "bars": {"ratio_to_raw_batch": BAR_RATIO, "speedup_over_one_at_a_time": BAR_SPEEDUP},
        },
    )
    return 0 if ratio >= BAR_RATIO and speedup >= BAR_SPEEDUP else 1


if __name__ == "__main__":
    sys.exit(main())
