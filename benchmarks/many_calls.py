"""Judge calls through the whole road: overhead per call, memory, and the hours that 900,000 calls project to.

    python benchmarks/many_calls.py --calls 9000 36000

A server in a process of its own answers every question at once. `evaluate_responses` has it judge so many windows, in a
process of its own, from a table of responses to scores, each answer put into an empty cache: what is left of a study
when models take no time. Beside it, in turns on the same server, the bare client of `openai` asks the same questions
with as many calls under way. The overhead is the difference; memory is flat where its peak grows by little more than
the tables do.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import record

from valueflow.responses import load_responses

STUDY = 900_000
K, M, CONCURRENCY = 6, 3, 64
MOST_BYTES_PER_CALL = 4096
"""Growth of the peak: what a response, its windows and its rankings take in tables, several times over."""

_RUN = """
import json, resource, sys, time
from valueflow.evaluation import evaluate_responses
start = time.perf_counter()
found = evaluate_responses(
    value="benevolence", responses=sys.argv[1], k=int(sys.argv[3]), m=int(sys.argv[4]), judge="llm", llm="openai",
    judge_check=False, progress=False,
    **{"llm.model": "instant", "llm.base_url": sys.argv[2], "llm.concurrency": int(sys.argv[5])},
)
used = resource.getrusage(resource.RUSAGE_SELF)
judging = found.summary["judging"]
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "cpu_seconds": used.ru_utime + used.ru_stime,
    "megabytes": used.ru_maxrss / 1024,
    "judge_seconds": found.summary["timings"]["judge"],
    "windows": found.summary["windows"], "failed": found.summary["windows_failed"], "judging": judging,
}))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, nargs="+", default=[9_000, 36_000], help="windows of each run, ascending")
    parser.add_argument("--bare", type=int, default=3_000, help="questions that the bare client asks")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/many_calls.json"))
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}/v1"
    runs = []
    for calls in options.calls:
        bare = asyncio.run(_bare(url, options.bare))
        run = {**_through_the_road(url, calls), "bare_milliseconds": bare}
        run["milliseconds"] = run["judge_seconds"] / run["windows"] * 1000
        runs.append(run)
        print(
            f"{run['windows']:>9,} calls: {run['milliseconds']:.2f} ms per call, of which the client alone {bare:.2f} "
            f"(overhead {run['milliseconds'] - bare:+.2f}, ratio {run['milliseconds'] / bare:.2f}); "
            f"{run['seconds']:.1f} s in all, peak {run['megabytes']:,.0f} MB, {run['failed']} failed",
            flush=True,
        )
    server.terminate()
    last = runs[-1]
    hours = STUDY * last["milliseconds"] / 3_600_000
    print(f"{STUDY:,} calls: {hours:.2f} h beside what the model takes, with {CONCURRENCY} calls under way")
    growth = 0.0
    if len(runs) > 1:
        growth = (last["megabytes"] - runs[0]["megabytes"]) * 2**20 / (last["windows"] - runs[0]["windows"])
        print(f"memory: {growth:,.0f} bytes more per call (at most {MOST_BYTES_PER_CALL:,})")
    record(options.out, {"runs": runs, "hours": hours, "bytes_per_call": growth})
    return int(growth > MOST_BYTES_PER_CALL or any(run["failed"] for run in runs))


def _through_the_road(url: str, calls: int) -> dict[str, Any]:
    """Judge so many windows in a process of its own, with an empty cache."""
    said = load_responses(None, {})[0]["response"].tolist()
    texts = [f"{said[number % len(said)]} ({number})" for number in range(calls // M)]
    queries = [f"question {number}" for number in range(len(texts))]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "responses.csv"
        pd.DataFrame({"query": queries, "response": texts}).to_csv(table, index=False)
        done = subprocess.run(
            [sys.executable, "-c", _RUN, str(table), url, str(K), str(M), str(CONCURRENCY)],
            env={**os.environ, "VALUEFLOW_CACHE": folder},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return dict(json.loads(done.stdout.splitlines()[-1]))


async def _bare(url: str, calls: int) -> float:
    """Return the milliseconds per call of the client by itself, with questions of the length of a window's."""
    from openai import AsyncOpenAI

    room = asyncio.Semaphore(CONCURRENCY)
    question = "Rank these texts. " + "A sentence of a text that stands in a window. " * (3 * K)
    async with AsyncOpenAI(base_url=url, api_key="none") as client:

        async def ask(number: int) -> None:
            async with room:
                await client.chat.completions.create(
                    model="instant", messages=[{"role": "user", "content": f"{question}{number}"}], max_tokens=64
                )

        await asyncio.gather(*(ask(number) for number in range(CONCURRENCY)))
        start = time.perf_counter()
        await asyncio.gather(*(ask(number) for number in range(calls)))
        return (time.perf_counter() - start) / calls * 1000


def _serve(told: Connection) -> None:
    """Answer every request for a completion with a ranking, drawn once; never ends."""
    ranking = ", ".join(str(place) for place in np.random.default_rng(0).permutation(K) + 1)
    message = {"role": "assistant", "content": f"[{ranking}]"}
    usage = {"prompt_tokens": 300, "completion_tokens": 20}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = json.dumps({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
    models = json.dumps({"object": "list", "data": [{"id": "instant", "object": "model"}]}).encode()

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
                )
                await reader.readexactly(length)
                body = models if head.startswith(b"GET") else answer
                kind = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                writer.write(kind + str(len(body)).encode() + b"\r\n\r\n" + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answered, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


if __name__ == "__main__":
    sys.exit(main())
