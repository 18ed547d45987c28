"""Engines on a CPU: prompt tokens and generated tokens a second, against transformers, with the same conversations.

Each engine runs in a process of its own, one after another, `--rounds` times over, so that all meet the same machine.
A turn asks eight conversations of about 150 tokens twice: for one token each, which is the time of the prompts, and,
with new texts, for 100 tokens each; the difference is the time of the other 99. The conversations of a turn either
begin with the same text (as the queries of a steering run do) or with different ones; no turn repeats an earlier one's.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from record import record

from valueflow.llm import model_folder
from valueflow.llm.engines.packaged import gguf_file
from valueflow.run import cache_folder

CONVERSATIONS = 8
MOST_TOKENS = 100
PEER = "transformers"
BAR = 1.5
"""Times as many generated tokens a second as transformers: what an engine must reach to be offered."""

SETTING = (
    "You live in a small town by the sea and work there as a teacher. You care about the people around you, above all "
    "about those who are close to you: you help them before they ask, keep what you promise and forgive easily. You "
    "are not interested in power or wealth, and you would rather give something up than hurt anyone. Answer in the "
    "first person, as this teacher would, with a story from your life of at least four hundred words."
)
QUERIES = (
    "What do you do when a colleague takes the credit for your work?",
    "Your neighbor plays loud music at night. How do you go about it?",
    "You find a purse with a lot of money. What happens next?",
    "Which job would you choose if money did not matter, and why?",
    "How do you spend a Sunday on which nobody needs you?",
    "A friend asks you to lie for her. What do you tell her?",
    "The town wants to close the library. What do you do?",
    "What would you like your pupils to say about you one day?",
)


def conversations(turn: int, *, shared: bool) -> list[list[dict[str, str]]]:
    """Return the conversations of a turn, which no other turn has anything in common with but the chat template."""
    setting = f"This is day {turn} of a long study. {SETTING}"
    return [
        [{"role": "user", "content": f"{setting} {query}" if shared else f"{turn}.{place} {query} {setting}"}]
        for place, query in enumerate(QUERIES)
    ]


Conversations = list[list[dict[str, str]]]

Answer = Callable[[Conversations, int], tuple[int, int]]
"""Answers conversations with at most so many tokens each; returns prompt tokens and generated tokens."""


def by_our_engine(model: Any) -> Answer:
    from valueflow.llm import Sampling

    engine = model.start()

    def answer(asked: Conversations, tokens: int) -> tuple[int, int]:
        completions = [completion for _, completion in engine.stream(asked, Sampling(max_tokens=tokens))]
        return sum(one.prompt_tokens for one in completions), sum(one.completion_tokens for one in completions)

    return answer


def transformers(model: str) -> Answer:
    from valueflow.llm import TransformersModel

    return by_our_engine(TransformersModel(model=model))


def openvino(model: str) -> Answer:
    from valueflow.llm import OpenvinoModel

    return by_our_engine(OpenvinoModel(model=model))


def vllm(model: str) -> Answer:
    from valueflow.llm import VllmModel

    return by_our_engine(
        VllmModel(model=model, dtype="bfloat16", enforce_eager=True, max_model_len=2048, gpu_memory_utilization=0.5)
    )


def llama_cpp(model: str) -> Answer:
    """Run the server of llama.cpp in this process, with a slot for each conversation."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gguf_file(model))
    parameters.n_parallel = CONVERSATIONS
    parameters.n_ctx = CONVERSATIONS * 1024
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = os.cpu_count()
    server = xllamacpp.Server(parameters)

    def answer(asked: Conversations, tokens: int) -> tuple[int, int]:
        def one(conversation: list[dict[str, str]]) -> Any:
            return server.handle_chat_completions({"messages": conversation, "max_tokens": tokens, "temperature": 0})

        with ThreadPoolExecutor(CONVERSATIONS) as threads:
            usages = [completion["usage"] for completion in threads.map(one, asked)]
        return sum(use["prompt_tokens"] for use in usages), sum(use["completion_tokens"] for use in usages)

    return answer


def onnxruntime(model: str) -> Answer:
    """Export the model with 4 bits, as its own tool does, and answer in one padded batch."""
    import onnxruntime_genai
    from transformers import AutoTokenizer

    folder = cache_folder("models") / f"{model}-onnx-int4"
    source = str(model_folder(model))
    if not folder.is_dir():
        export = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", source, "-o", str(folder)]
        subprocess.run([*export, "-p", "int4", "-e", "cpu", "-c", str(folder / "unfinished")], check=True)
    tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")
    loaded = onnxruntime_genai.Model(str(folder))

    def answer(asked: Conversations, tokens: int) -> tuple[int, int]:
        prompts = tokenizer.apply_chat_template(
            asked, add_generation_prompt=True, padding=True, return_dict=True, return_tensors="np"
        )
        rows, width = prompts["input_ids"].shape
        parameters = onnxruntime_genai.GeneratorParams(loaded)
        parameters.set_search_options(batch_size=rows, max_length=width + tokens, do_sample=False)
        generator = onnxruntime_genai.Generator(loaded, parameters)
        generator.append_tokens(prompts["input_ids"].astype("int32"))
        steps = 0
        while not generator.is_done() and steps < tokens:
            generator.generate_next_token()
            steps += 1
        return int(prompts["attention_mask"].sum()), rows * steps

    return answer


STARTS: dict[str, tuple[str, Callable[[str], Answer]]] = {
    "transformers": ("transformers", transformers),
    "openvino": ("openvino_genai", openvino),
    "vllm": ("vllm", vllm),
    "llama.cpp": ("xllamacpp", llama_cpp),
    "onnxruntime": ("onnxruntime_genai", onnxruntime),
}
"""By name: the module without which an engine is skipped, and what starts it."""


@dataclass(frozen=True)
class Turn:
    """What one turn took, in seconds, and how many tokens it was."""

    prompt_tokens: int
    prompt_seconds: float
    generated_tokens: int
    generating_seconds: float


def measured(answer: Answer, turn: int, *, shared: bool) -> Turn:
    """Ask for one token of each conversation, and for many of each of new ones."""
    begin = time.perf_counter()
    prompt_tokens, _ = answer(conversations(2 * turn, shared=shared), 1)
    one = time.perf_counter() - begin
    begin = time.perf_counter()
    _, generated = answer(conversations(2 * turn + 1, shared=shared), MOST_TOKENS)
    many = time.perf_counter() - begin
    return Turn(prompt_tokens, one, generated - CONVERSATIONS, many - one)


def measure_one(name: str, model: str, turns: int) -> dict[str, Any]:
    """Start one engine in this process and measure it."""
    begin = time.perf_counter()
    answer = STARTS[name][1](model)
    loading = time.perf_counter() - begin
    answer(conversations(0, shared=False)[:2], 4)  # what is compiled or allocated at first use
    kinds = {
        kind: [vars(measured(answer, turn, shared=shared)) for turn in range(first, first + turns)]
        for kind, shared, first in (("apart", False, 1), ("shared", True, 1 + turns))
    }
    peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {"loading_seconds": loading, "peak_gb": peak / 2**20, **kinds}


def interpreter(name: str, vllm_python: Path) -> str | None:
    """Return the interpreter that has an engine, None where none has."""
    candidates = [sys.executable, *([str(vllm_python)] if name == "vllm" and vllm_python.exists() else [])]
    for python in candidates:
        found = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({STARTS[name][0]!r}) is None)"
        if subprocess.run([python, "-c", found], check=False).returncode == 0:
            return python
    return None


def rates(rounds: Sequence[dict[str, Any]], kind: str) -> tuple[float, float]:
    """Return prompt tokens and generated tokens a second, medians over all turns."""
    turns = [Turn(**turn) for measurement in rounds for turn in measurement[kind]]
    return (
        statistics.median(turn.prompt_tokens / turn.prompt_seconds for turn in turns),
        statistics.median(turn.generated_tokens / turn.generating_seconds for turn in turns),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="qwen2_5_coder_1_5b", help="a packaged model")
    parser.add_argument("--engines", nargs="+", default=list(STARTS), choices=list(STARTS))
    parser.add_argument("--rounds", type=int, default=2, help="times that each engine is started and measured")
    parser.add_argument("--turns", type=int, default=3, help="turns of each kind in a round")
    parser.add_argument(
        "--vllm-python", type=Path, default=Path(".venv-vllm/bin/python"), help="where vLLM is installed"
    )
    parser.add_argument("--only", choices=list(STARTS), help="measure one engine in this process")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/cpu_engines.json"))
    options = parser.parse_args()
    if options.only:
        options.out.write_text(json.dumps(measure_one(options.only, options.model, options.turns)), encoding="utf-8")
        return 0
    pythons = {name: interpreter(name, options.vllm_python) for name in options.engines}
    for name, python in pythons.items():
        if python is None:
            print(f"skipped: {name}, as {STARTS[name][0]} is not installed here")
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name, python in pythons.items() if python}
    for _ in range(options.rounds):
        for name in list(rounds):
            try:
                rounds[name].append(in_a_process(str(pythons[name]), name, options.model, options.turns))
            except subprocess.CalledProcessError:
                print(f"left out: {name}, which failed")
                del rounds[name]
    return report(rounds, options.model, options.out)


def in_a_process(python: str, name: str, model: str, turns: int) -> dict[str, Any]:
    """Measure an engine in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        own = ["--only", name, "--model", model, "--turns", str(turns), "--out", str(out)]
        subprocess.run([python, __file__, *own], check=True)
        figures: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return figures


def report(rounds: dict[str, list[dict[str, Any]]], model: str, out: Path) -> int:
    """Print a line for each engine and kind of conversations, and write all figures."""
    figures: dict[str, Any] = {}
    print(f"{model}, {CONVERSATIONS} conversations, {MOST_TOKENS} tokens each; tokens a second of prompts | generated")
    for name, measurements in rounds.items():
        figures[name] = {
            "loading_seconds": statistics.median(one["loading_seconds"] for one in measurements),
            "peak_gb": max(one["peak_gb"] for one in measurements),
            "rounds": measurements,
        }
        for kind in ("apart", "shared"):
            prompt, generated = rates(measurements, kind)
            line = f"{name:13} prompts {kind:7} {prompt:7.0f} | {generated:6.1f}"
            figures[name][kind] = {"prompt_tokens_per_second": prompt, "generated_tokens_per_second": generated}
            if name != PEER and PEER in rounds:
                ratio = generated / rates(rounds[PEER], kind)[1]
                figures[name][kind]["ratio"] = ratio
                line += f"   {ratio:.2f} times {PEER}"
            print(line)
        print(f"{'':13} loading {figures[name]['loading_seconds']:.0f} s, {figures[name]['peak_gb']:.1f} GB at most")
    record(out, {"model": model, "bar": BAR, "engines": figures})
    offered = figures.get("openvino")
    if offered is None or PEER not in figures:
        return 0
    return 0 if min(offered[kind]["ratio"] for kind in ("apart", "shared")) >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
