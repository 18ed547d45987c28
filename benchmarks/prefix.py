"""Log-odds of two words for many texts after one wording: what prompts begin with computed once, against every time.

The prompts are those of `judge=logprob` about one value, in its own wording: the value and its definition, then a text
of 30 to 60 tokens, then the question. Both engines are loaded beforehand and take turns on the same prompts, in the
same batches; the medians of the turns count.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from record import record

from valueflow.judge import Criterion, LogprobJudge
from valueflow.llm import Completion, Conversation, Sampling, TransformersModel, begins
from valueflow.responses import load_responses
from valueflow.run import built, compose_node
from valueflow.theory import load_theory
from valueflow.vidb import load_vidb

BAR_RATIO, BAR_DIFFERENCE = 1.5, 0.02
WORDS = ("support", "oppose")
VALUE = "benevolence"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2", help="name on the hub, a folder, or a packaged model [smollm2]")
    parser.add_argument("--texts", type=int, default=32, help="texts in a turn [32]")
    parser.add_argument("--turns", type=int, default=3, help="turns that each engine takes [3]")
    parser.add_argument("--batch-size", type=int, default=16, help="texts asked at once [16]")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/prefix.json"))
    options = parser.parse_args()
    shared, every = (
        TransformersModel(model=options.model, batch_size=options.batch_size, enable_prefix_caching=is_on).start()
        for is_on in (True, False)
    )
    asked = prompts(options.texts)
    sampling = Sampling(max_tokens=1, top_logprobs=20, words=WORDS)
    seconds: dict[str, list[float]] = {"shared": [], "every": []}
    answers: dict[str, list[Completion]] = {}
    for turn in range(options.turns + 1):
        for name, engine in (("shared", shared), ("every", every)):
            start = time.perf_counter()
            answers[name] = [answer for _, answer in sorted(engine.stream(asked, sampling), key=lambda pair: pair[0])]
            if turn:  # the first one warms up, and decodes the vocabulary
                seconds[name].append(time.perf_counter() - start)
    difference = float(np.abs(log_odds(answers["shared"]) - log_odds(answers["every"])).max())
    once, again = (statistics.median(seconds[name]) for name in ("shared", "every"))
    tokens = [answer.prompt_tokens for answer in answers["shared"]]
    ratio = again / once
    print(f"{options.model}, {options.texts} prompts of {min(tokens)} to {max(tokens)} tokens")
    print(f"what they begin with computed every time: {again:7.2f} s, {again / options.texts * 1e3:6.1f} ms a text")
    print(f"computed once:                            {once:7.2f} s, {once / options.texts * 1e3:6.1f} ms a text")
    print(f"ratio                                     {ratio:7.2f}    bar {BAR_RATIO}")
    print(f"largest difference of log-odds            {difference:7.5f}    bar {BAR_DIFFERENCE}")
    record(
        options.out,
        {
            "model": options.model,
            "texts": options.texts,
            "prompt_tokens": [min(tokens), max(tokens)],
            "batch_size": options.batch_size,
            "turns_seconds": {name: [round(one, 3) for one in taken] for name, taken in seconds.items()},
            "ratio": ratio,
            "largest_difference": difference,
            "bars": {"ratio": BAR_RATIO, "largest_difference": BAR_DIFFERENCE},
        },
    )
    return 0 if ratio >= BAR_RATIO and difference <= BAR_DIFFERENCE else 1


def prompts(n: int) -> Sequence[Conversation]:
    """Ask about texts of 24 to 46 words, cut out of the demo's responses one after another."""
    words = " ".join(load_responses(None, {})[0]["response"]).split()
    draw = np.random.default_rng(42)
    lengths = draw.integers(24, 47, n)
    starts = draw.integers(0, len(words) - 47, n)
    texts = [" ".join(words[start : start + length]) for start, length in zip(starts, lengths, strict=True)]
    theory = load_theory("pvq")
    judge: LogprobJudge = built(compose_node("evaluate", "judge", {"judge": "logprob", "llm": "smollm2"}))
    return judge.conversations(Criterion(theory, VALUE, load_vidb("demo", theory)), texts)


def log_odds(answers: list[Completion]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return log p(support) - log p(oppose) of each answer."""
    sums = [
        [
            math.fsum(math.exp(one) for text, one in (answer.logprobs or {}).items() if begins(text, word))
            for word in WORDS
        ]
        for answer in answers
    ]
    logs = np.log(np.array(sums))
    return np.asarray(logs[:, 0] - logs[:, 1])


if __name__ == "__main__":
    sys.exit(main())
