"""Responses in the logs of evaluation tools: those of Inspect, and the samples of lm-eval."""

import json
import logging
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from valueflow.responses.columns import FILTERS, OURS
from valueflow.run import ROW, InputError, check_there, shorten, text_of_parts

_HEADER, _SAMPLES, _JOURNAL = "header.json", "samples/", "_journal/start.json"
_OF_LM_EVAL = {"doc", "doc_id", "arguments", "resps"}
_LM_EVAL_NAME = re.compile(r"samples_(?P<task>.+?)(?:_\d{4}-\d{2}-\d{2}T[\d.-]+)?$")
_USER, _ASSISTANT = "user", "assistant"

_ZSTANDARD = 93
"""Number of this kind of compression in zip archives, for which Python's zipfile has no reader."""
_LENGTHS_AT = 26

_log = logging.getLogger(__name__)

_LISTS = (list, tuple, np.ndarray)
"""What holds several texts: Parquet gives arrays."""


def inspect_log(path: Path, what: str) -> pd.DataFrame | None:
    """Read a log of Inspect, `.eval` or JSON, as responses; None where a file is no such log.

    `query` is the sample's input (of a list of messages the user's last text), `dataset` the task's, `response` the
    model's completion without its reasoning, `model` the model. A sample without a completion is a missing response.
    Samples of our own tasks say themselves what they are of (see `OURS`).

    Raises
    ------
    InputError
        The log is damaged, or holds no samples.
    """
    # Not only by the name: what a browser saves, or a person renames, is a log all the same.
    if not os.path.isfile(path):
        return None
    check_there(path, what)
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError:
        # Reading it as a table says in one line why it cannot be read.
        return None
    if start == b"PK\x03\x04" and _is_log(path):
        header, samples = _packed(path, what)
    elif path.suffix.lower() == ".json" and start[:1] == b"{":
        found = _plain(path)
        if found is None:
            return None
        header, samples = found
    else:
        return None
    run = _mapping(header.get("eval"))
    dataset = _mapping(run.get("dataset")).get("name") or run.get("task") or ""
    rows = [
        {
            "query": _asked(sample.get("input")),
            "dataset": str(dataset),
            "response": answer_in(sample.get("output")),
            "model": str(_mapping(sample.get("output")).get("model") or run.get("model") or ""),
            **_ours(sample.get("metadata")),
        }
        for sample in samples
    ]
    if not rows:
        raise InputError(f"{what}: the log {path} holds no samples (its status is '{header.get('status', 'unknown')}')")
    return pd.DataFrame(rows, dtype=object)


def is_lm_eval(frame: pd.DataFrame) -> bool:
    """Return whether a table is the samples that lm-eval writes with `--log_samples`."""
    return {*frame.columns} >= _OF_LM_EVAL


def lm_eval_responses(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return the samples of lm-eval as responses.

    `query` is the prompt, `dataset` the task in the file's name, `response` what the model generated; several
    generations of a prompt are a row each. Where several filters were applied, each sample counts once. Samples of our
    own tasks say themselves what they are of (see `OURS`).

    Raises
    ------
    InputError
        The task compares likelihoods, so that nothing was generated.
    """
    named = _LM_EVAL_NAME.match(Path(source).name.removesuffix(".gz").rpartition(".")[0])
    dataset = named["task"] if named else ""
    has_numbers = frame.index.name == ROW
    filters = dict.fromkeys(frame["filter"].map(str)) if "filter" in frame else {}
    if len(filters) > 1:
        _log.warning("%s: samples stand once for each of %d filters; each counts once", source, len(filters))
    rows, numbers, seen = [], [], set()
    for place, sample in enumerate(frame.to_dict("records")):
        number = int(frame.index[place]) if has_numbers else place + 1
        prompt = _prompt(sample["arguments"])
        # A sample for which nothing was generated is a response that is missing, not one less.
        said = _generated(sample["resps"], f"responses: {source}, row {number}") or [None]
        key = json.dumps([sample["doc_id"], prompt, said], default=str)
        if len(filters) > 1 and key in seen:
            continue
        seen.add(key)
        rows += [{"query": prompt, "dataset": dataset, "response": text, **_ours(sample["doc"])} for text in said]
        numbers += [number] * len(said)
    return pd.DataFrame(rows, index=pd.Index(numbers, name=ROW), dtype=object)


def _is_log(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return path.suffix.lower() == ".eval"
    return bool(names & {_HEADER, _JOURNAL}) or path.suffix.lower() == ".eval"


def _packed(path: Path, what: str) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            start = next((name for name in (_HEADER, _JOURNAL) if name in names), None)
            header = json.loads(_unpacked(archive, start)) if start else {}
            samples = [
                json.loads(_unpacked(archive, name)) for name in sorted(names, key=_in_order) if _is_sample(name)
            ]
    except NotImplementedError as error:
        raise InputError(
            f"{what}: the log {path} is packed in a way that this Python cannot unpack; convert it: "
            "inspect log convert --to json"
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, struct.error) as error:
        raise InputError(f"{what}: the log {path} is damaged; copy it again, or `inspect log convert` it") from error
    objects = [sample for sample in samples if isinstance(sample, Mapping)]
    return (header if isinstance(header, Mapping) else {}), objects


def _unpacked(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a file of an archive, also where it is packed by Zstandard, as newer versions of Inspect do it."""
    member = archive.getinfo(name)
    if member.compress_type != _ZSTANDARD or archive.fp is None:
        return archive.read(member)
    import pyarrow as pa  # takes a moment, and few runs read such logs

    # Before the data stands a header of its own, whose last two numbers are the lengths of what follows it.
    archive.fp.seek(member.header_offset + _LENGTHS_AT)
    archive.fp.seek(sum(struct.unpack("<HH", archive.fp.read(4))), os.SEEK_CUR)
    with pa.CompressedInputStream(pa.BufferReader(archive.fp.read(member.compress_size)), "zstd") as stream:
        content: bytes = stream.read()
    if zlib.crc32(content) != member.CRC:
        raise zipfile.BadZipFile(f"{name} is damaged")
    return content


def _is_sample(name: str) -> bool:
    return name.startswith(_SAMPLES) and name.endswith(".json")


def _in_order(name: str) -> list[tuple[int, str]]:
    """Sort names of samples, `samples/ID_epoch_N.json`, by the numbers in them."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _plain(path: Path) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]] | None:
    """Read a JSON log; None where a JSON file is none."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    if not (isinstance(content, Mapping) and isinstance(content.get("eval"), Mapping) and "status" in content):
        return None
    samples = content.get("samples")
    return content, [sample for sample in samples if isinstance(sample, Mapping)] if isinstance(samples, list) else []


def _mapping(entry: Any) -> Mapping[str, Any]:
    return entry if isinstance(entry, Mapping) else {}


def _ours(carried: Any) -> dict[str, str]:
    """Return what a sample of one of our tasks says that it is of; nothing where it is another's."""
    found = _mapping(_mapping(carried).get(OURS))
    return {name: str(found[name]) for name in ("query", "dataset", *FILTERS) if name in found}


def _asked(given: Any) -> str | None:
    """Return the user's last text in a sample's input."""
    if isinstance(given, str) or given is None:
        return given
    said = [text_of_parts(message.get("content")) for message in _by(given, _USER)]
    return next((text for text in reversed(said) if text), None)


def answer_in(output: Any) -> str | None:
    """Return what a model answered by an output of Inspect, without the reasoning before it; None where it did not."""
    if not isinstance(output, Mapping):
        return None
    choices = output.get("choices")
    for choice in choices if isinstance(choices, list) else []:
        message = choice.get("message") if isinstance(choice, Mapping) else None
        for own in _by([message], _ASSISTANT):
            return text_of_parts(own.get("content"))
    completion = output.get("completion")
    return completion if isinstance(completion, str) else None


def _by(messages: Any, role: str) -> Iterator[Mapping[str, Any]]:
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, Mapping) and message.get("role") == role:
            yield message


def _prompt(arguments: Any) -> str:
    """Return the prompt in the `arguments` of a sample: newer ones name their parts, older ones are lists."""
    first: Any = arguments
    while isinstance(first, (*_LISTS, Mapping)) and len(first):
        first = next(iter(first.values())) if isinstance(first, Mapping) else first[0]
    return str(first) if isinstance(first, str) else ""


def _generated(resps: Any, where: str) -> list[str | None]:
    """Return the texts that were generated for a sample."""
    texts: list[str | None] = []
    for one in resps if isinstance(resps, _LISTS) else [resps]:
        for text in one if isinstance(one, _LISTS) else [one]:
            if not isinstance(text, str):
                raise InputError(
                    f"{where}, column 'resps': '{shorten(str(text))}' is no text: the task compares likelihoods and "
                    "generates nothing; give samples of a generative task"
                )
            texts.append(text)
    return texts
