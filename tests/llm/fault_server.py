"""A small OpenAI-compatible server that answers as a test says, well or badly.

In a test: `with FaultServer(answer) as server: ... server.url, server.calls`. As a process of its own:
`python tests/llm/fault_server.py --port-file F --log F --faults 0.3 --seed 1 --delay 0.02 --answer permutation`.
"""

import argparse
import hashlib
import json
import random
import re
import select
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, Self

How = Literal["whole", "drop", "hang", "truncate", "drip"]

NUMBERED_LINE = re.compile(r"^\d+\. ", re.MULTILINE)
FAULTS = ("429", "500", "drop", "hang", "empty", "garbage", "truncate")


@dataclass(frozen=True)
class Call:
    """A request for a chat completion, as it came in."""

    number: int
    attempt: int
    digest: str
    at: float
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def question(self) -> str:
        return str(self.body["messages"][-1]["content"])


@dataclass(frozen=True)
class Reply:
    """What the server does about a call."""

    body: bytes = b""
    status: int = 200
    how: How = "whole"
    delay: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


Answer = Callable[[Call], Reply]


def completion(
    text: str | None,
    finish_reason: str = "stop",
    prompt_tokens: int = 11,
    completion_tokens: int = 7,
    logprobs: object = None,
    **message: object,
) -> Reply:
    said = {"role": "assistant", "content": text, **message}
    answer = {
        "id": "x",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": said, "finish_reason": finish_reason, "logprobs": logprobs}],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens},
    }
    return Reply(json.dumps(answer).encode())


def first_token(logprobs: Mapping[str, float], chosen: str) -> dict[str, object]:
    """Write log-probabilities as OpenAI does: the chosen token of each place with its likeliest rivals."""
    listed = [{"token": token, "logprob": logprob, "bytes": None} for token, logprob in logprobs.items()]
    first = {"token": chosen, "logprob": logprobs.get(chosen, -30.0), "bytes": None, "top_logprobs": listed}
    end = {"token": "", "logprob": 0.0, "bytes": None, "top_logprobs": []}
    return {"content": [first, end], "refusal": None}


def model_list(*names: str, owned_by: str = "tests") -> Reply:
    listed = [{"id": name, "object": "model", "owned_by": owned_by} for name in names]
    return Reply(json.dumps({"object": "list", "data": listed}).encode())


def refusal(status: int, message: str, code: str | None = None) -> Reply:
    return Reply(json.dumps({"error": {"message": message, "code": code, "type": "invalid"}}).encode(), status)


def echo(call: Call) -> Reply:
    return completion(call.question)


def permutation(call: Call) -> Reply:
    """Rank the items of the last user message that lists some; the order is drawn from the request alone."""
    listed = [len(NUMBERED_LINE.findall(turn["content"])) for turn in call.body["messages"] if turn["role"] == "user"]
    k = next((count for count in reversed(listed) if count), 1)
    order = random.Random(call.digest).sample(range(1, k + 1), k)
    schema = call.body.get("response_format", {}).get("json_schema", {}).get("schema")
    if schema is None:
        return completion(str(order))
    ((name, asked),) = schema["properties"].items()
    shown = " ".join(map(str, order)) if asked["type"] == "string" else order
    return completion(json.dumps({name: shown}))


def with_faults(answer: Answer, share: float, seed: int, faults: tuple[str, ...] = FAULTS) -> Answer:
    """Spoil a share of the calls; another attempt at the same request is drawn anew."""

    def spoiled(call: Call) -> Reply:
        draw = random.Random(f"{seed} {call.digest} {call.attempt}")
        return fault(draw.choice(faults), answer(call)) if draw.random() < share else answer(call)

    return spoiled


def fault(kind: str, good: Reply) -> Reply:
    match kind:
        case "429":
            return replace(refusal(429, "slow down"), headers={"Retry-After": "0.05"})
        case "500":
            return refusal(500, "something broke")
        case "empty":
            return Reply()
        case "garbage":
            return Reply(b'<html>{"choices": [')
        case "drop" | "hang" | "truncate" | "drip":
            return replace(good, how=kind)
    raise ValueError(kind)


def delayed(answer: Answer, seconds: float) -> Answer:
    return lambda call: replace(answer(call), delay=seconds)


class FaultServer(ThreadingHTTPServer):
    """The server; runs in a thread inside `with`.

    Attributes
    ----------
    calls
        All chat completions asked for, in the order of their arrival.
    lists
        How often the list of models was asked for.
    most_at_once
        Most calls that were under way at a time.
    """

    daemon_threads = True
    request_queue_size = 1024

    def __init__(
        self,
        answer: Answer = echo,
        *,
        models: Reply | None = None,
        log: Path | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.models = models or model_list("fault")
        self.calls: list[Call] = []
        self.lists = 0
        self.most_at_once = 0
        self.stopping = threading.Event()
        self._under_way = 0
        self._attempts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._log = log

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that have gone away; that is what some tests are about."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def arrive(self, raw: bytes, headers: dict[str, str]) -> Call:
        digest = hashlib.sha256(raw).hexdigest()
        with self._lock:
            self._attempts[digest] += 1
            attempt = self._attempts[digest]
            call = Call(len(self.calls), attempt, digest, time.monotonic(), json.loads(raw), headers)
            self.calls.append(call)
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
        self.note("arrived", call)
        return call

    def leave(self) -> None:
        with self._lock:
            self._under_way -= 1

    def note(self, event: str, call: Call) -> None:
        """Log an event; a line is in the file before the call goes on."""
        if self._log is not None:
            line = json.dumps({"event": event, "digest": call.digest, "at": time.monotonic()})
            with self._lock, self._log.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


class _Handler(BaseHTTPRequestHandler):
    server: FaultServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.server.lists += 1
        self._send(self.server.models)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        if not raw:
            return  # the client has hung up: its batch has ended early
        call = self.server.arrive(raw, {name.lower(): content for name, content in self.headers.items()})
        left = False
        try:
            reply = self.server.answer(call)
            time.sleep(reply.delay)
            # The client may send its next call before this thread goes on; the call is over once its answer leaves.
            if reply.how == "whole":
                self.server.leave()
                left = True
            self._send(reply)
            self.server.note("sent" if (reply.how, reply.status) == ("whole", 200) else "spoiled", call)
        finally:
            if not left:
                self.server.leave()

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""

    def _send(self, reply: Reply) -> None:
        if reply.how == "hang":
            self._wait_for_client()
        if reply.how in ("drop", "hang"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(reply.status)
        for name, content in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, content)
        self.send_header("Content-Length", str(10**6 if reply.how == "drip" else len(reply.body)))
        self.end_headers()
        if reply.how == "drip":
            self._drip()
        elif reply.how == "truncate":
            self.close_connection = True
            self.wfile.write(reply.body[: len(reply.body) // 2])
        else:
            self.wfile.write(reply.body)

    def _drip(self) -> None:
        """Send byte after byte, as long as the client takes them."""
        self.close_connection = True
        while not self.server.stopping.wait(0.05):
            self.wfile.write(b" ")

    def _wait_for_client(self) -> None:
        while not self.server.stopping.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.05)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port-file", type=Path, required=True, help="where the port is written once the server is up")
    parser.add_argument("--log", type=Path, required=True, help="a JSON line for each event: arrived, sent, spoiled")
    parser.add_argument("--faults", type=float, default=0.0, help="share of the calls that go wrong")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--answer", choices=("permutation", "echo"), default="permutation")
    options = parser.parse_args()
    answer = {"permutation": permutation, "echo": echo}[options.answer]
    with FaultServer(
        with_faults(delayed(answer, options.delay), options.faults, options.seed), log=options.log
    ) as server:
        beside = options.port_file.with_suffix(".new")
        beside.write_text(str(server.server_port), encoding="utf-8")
        beside.replace(options.port_file)
        threading.Event().wait()


if __name__ == "__main__":
    main()
