"""Judge calls through the whole road: overhead per call, memory, and the hours that 900,000 calls project to.

    python benchmarks/many_calls.py --jobs 40

A server in a process of its own answers every question at once. One process, as of a sweep, runs job after job: each
calls `evaluate_responses` with 500 responses of its own, from a table to scores, and puts 1,500 answers into a cache
that was empty: what is left of a study when models take no time. Beside it, before and after, the bare client of
`openai` asks the same server as many questions at once. The overhead is the difference; memory is flat where the peak
of the process does not rise once the first quarter of its jobs are done.
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
"""Calls of 12 values, 5 intensities and 10 models with 500 responses each: 600 jobs."""

K, M, CONCURRENCY = 6, 3, 64
MOST_BYTES_PER_CALL = 100
"""Growth of the peak over jobs: .09 GB over the study."""

_RUN = """
import json, resource, sys, time
from pathlib import Path
from valueflow.evaluation import evaluate_responses
jobs = []
for table in sorted(Path(sys.argv[1]).glob("*.csv")):
    start = time.perf_counter()
    summary = evaluate_responses(
        value="benevolence", responses=str(table), k=int(sys.argv[3]), m=int(sys.argv[4]), judge="llm", llm="openai",
        judge_check=False, progress=False,
        **{"llm.model": "instant", "llm.base_url": sys.argv[2], "llm.concurrency": int(sys.argv[5])},
    ).summary
    jobs.append({
        "seconds": time.perf_counter() - start,
        "judge_seconds": summary["timings"]["judge"],
        "windows": summary["windows"], "failed": summary["windows_failed"], "cached": summary["judging"]["cache_hits"],
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    })
print(json.dumps(jobs))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=12, help="jobs, one after another")
    parser.add_argument("--calls", type=int, default=1_500, help="windows of a job")
    parser.add_argument("--bare", type=int, default=3_000, help="questions that the bare client asks, twice")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/many_calls.json"))
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}/v1"
    before = asyncio.run(_bare(url, options.bare))
    jobs = _through_the_road(url, options.jobs, options.calls)
    bare = (before + asyncio.run(_bare(url, options.bare))) / 2
    server.terminate()
    calls = sum(job["windows"] for job in jobs)
    missing = sum(job["failed"] + job["cached"] for job in jobs)
    per_call = sum(job["judge_seconds"] for job in jobs) / calls * 1000
    hours = STUDY * per_call / 3_600_000
    settled = jobs[(len(jobs) - 1) // 4]["megabytes"]
    growth = (jobs[-1]["megabytes"] - settled) * 2**20 / max(calls * 3 / 4, 1)
    print(
        f"{calls:,} calls in {len(jobs)} jobs, {missing} failed or not asked; "
        f"{sum(job['seconds'] for job in jobs):.0f} s"
    )
    print(
        f"{per_call:.2f} ms per call, of which the client alone {bare:.2f} (overhead {per_call - bare:+.2f}, ratio "
        f"{per_call / bare:.2f}); {STUDY:,} calls: {hours:.2f} h beside what the model takes, {CONCURRENCY} at once"
    )
    print(
        f"memory: peak {settled:,.0f} MB after a quarter of the jobs, {jobs[-1]['megabytes']:,.0f} MB after all: "
        f"{growth:,.0f} bytes more per call (at most {MOST_BYTES_PER_CALL})"
    )
    record(options.out, {"jobs": jobs, "bare_milliseconds": bare, "hours": hours, "bytes_per_call": growth})
    return int(growth > MOST_BYTES_PER_CALL or missing > 0)


def _through_the_road(url: str, jobs: int, calls: int) -> list[dict[str, Any]]:
    """Judge so many windows in each job, all in one process, with a cache that is empty at first."""
    said = load_responses(None, {})[0]["response"].tolist()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "responses").mkdir()
        for job in range(jobs):
            texts = [f"{said[number % len(said)]} ({job}: {number})" for number in range(calls // M)]
            queries = [f"question {number}" for number in range(len(texts))]
            table = pd.DataFrame({"query": queries, "response": texts})
            table.to_csv(folder / "responses" / f"{job:04}.csv", index=False)
        done = subprocess.run(
            [sys.executable, "-c", _RUN, str(folder / "responses"), url, str(K), str(M), str(CONCURRENCY)],
            env={**os.environ, "VALUEFLOW_CACHE": str(folder / "cache")},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return list(json.loads(done.stdout.splitlines()[-1]))


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
