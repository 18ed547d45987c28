"""What models answered in the shards of a run: written down as it arrives, said again to the run that joins them."""

import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path

from valueflow.llm.cache import as_bytes, as_json, request_key, request_keys
from valueflow.llm.protocol import (
    Arrivals,
    ChatModel,
    Completion,
    Conversation,
    PromptTooLong,
    Sampling,
    Stream,
    one_each,
)
from valueflow.run import ANSWERS_FILE, InputError, Share, shorten

TOO_LONG = "the prompt is too long: "
"""Begins the error of a completion whose prompt does not fit into the model."""

_ANSWERS_AT_ONCE = 1000


class AnswerLog:
    """Writes down what a model answers in a shard; of any other run, nothing.

    A line per answer: the request's key and the completion, failed ones too, so that who reads them all can go through
    the same run without the model. Whoever adds an answer has it on the disk before it goes on.
    """

    def __init__(self, model: ChatModel, share: Share) -> None:
        self._path = share.answers
        self._identity = {} if self._path is None else _identity(model)

    def add(self, answers: Iterable[tuple[Conversation, Sampling, Completion]]) -> None:
        """Write down answers."""
        if self._path is None:
            return
        lines = [
            as_bytes(as_json(_written(request_key(self._identity, conversation, sampling), completion))) + b"\n"
            for conversation, sampling, completion in answers
        ]
        with self._path.open("ab") as file:
            file.write(b"".join(lines))


class RecordedAnswers:
    """Answers as the shards of a run have recorded them; asks no model.

    Parameters
    ----------
    model
        Whose answers.
    share
        Of the run that joins the shards. Where several have asked the same, the first one's answer counts.
    """

    def __init__(self, model: ChatModel, share: Share) -> None:
        self._model = model
        self._files = tuple(path for path in (found.path / ANSWERS_FILE for found in share.merged) if path.is_file())

    def stream(self, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling]) -> Stream:
        """Answer a batch; see `valueflow.llm.protocol.Streaming`.

        Raises
        ------
        InputError
            No shard has asked this.
        """
        return Stream(self._groups(conversations, one_each(sampling, len(conversations))))

    def _groups(
        self, conversations: Sequence[Conversation], samplings: Sequence[Sampling]
    ) -> Generator[Arrivals, None, None]:
        identity = _identity(self._model)
        places = _places(self._files, tuple(path.stat().st_mtime_ns for path in self._files))
        with ExitStack() as stack:
            files = [stack.enter_context(path.open("rb")) for path in self._files]
            arrivals: list[tuple[int, Completion]] = []
            for index, key in enumerate(request_keys(identity, conversations, samplings)):
                place = places.get(bytes.fromhex(key))
                if place is None:
                    raise _not_asked(str(identity["model"]), conversations[index])
                files[place[0]].seek(place[1])
                completion = _read(files[place[0]].readline())
                if completion.error.startswith(TOO_LONG):
                    if arrivals:
                        yield arrivals
                    raise PromptTooLong(index, completion.error.removeprefix(TOO_LONG))
                arrivals.append((index, completion))
                if len(arrivals) == _ANSWERS_AT_ONCE:
                    yield arrivals
                    arrivals = []
            if arrivals:
                yield arrivals


def _identity(model: ChatModel) -> dict[str, object]:
    """Return what decides the answers, but for where a server stands: each shard may have asked one of its own."""
    return {key: entry for key, entry in model.identity().items() if key != "base_url"}


def _written(key: str, completion: Completion) -> dict[str, object]:
    return {
        "key": key,
        "text": completion.text,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "truncated": completion.truncated,
        "error": completion.error,
        "has_thought": completion.has_thought,
        "logprobs": None if completion.logprobs is None else dict(completion.logprobs),
        "servers": list(completion.servers),
    }


def _read(line: bytes) -> Completion:
    fields: Mapping[str, object] = json.loads(line.decode("utf-8", "surrogatepass"))
    named = {name: field for name, field in fields.items() if name not in ("key", "servers")}
    servers: list[str] = fields["servers"]  # type: ignore[assignment]
    return Completion(**named, servers=tuple(servers))  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def _places(files: tuple[Path, ...], changed: tuple[int, ...]) -> dict[bytes, tuple[int, int]]:
    """Return for each key the number of the file that holds its answer, and the byte where its line begins.

    `changed` are the files' times of change, so that files that were written anew are read anew.

    Raises
    ------
    InputError
        A line cannot be read.
    """
    places: dict[bytes, tuple[int, int]] = {}
    for number, path in enumerate(files):
        start = 0
        with path.open("rb") as file:
            for row, line in enumerate(file, start=1):
                try:
                    key = bytes.fromhex(json.loads(line.decode("utf-8", "surrogatepass"))["key"])
                    _read(line)
                except (ValueError, TypeError, KeyError, RecursionError):
                    raise InputError(
                        f"merge: {path}, line {row} is no answer of a model; run that shard again"
                    ) from None
                places.setdefault(key, (number, start))
                start += len(line)
    return places


def _not_asked(model: str, conversation: Conversation) -> InputError:
    end = shorten(conversation[-1]["content"][-200:])
    return InputError(
        f"merge: no shard has asked model '{model}' what the whole run asks it, such as the question that ends in "
        f"'{end}'; run the shards again with the input as it is now"
    )
