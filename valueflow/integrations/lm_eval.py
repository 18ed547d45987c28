"""Tasks for lm-evaluation-harness: a folder to include by path, and the functions that its files name."""

import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from valueflow.integrations.asking import Asking, pairs, sample_labels
from valueflow.integrations.measuring import COUNTS, FIGURES, Said, Scale
from valueflow.responses import OURS
from valueflow.run import BadRows, InputError, cache_folder, replacing
from valueflow.steering import Wording
from valueflow.theory import Theory, known_theories
from valueflow.vidb import DEMO, load_vidb

_log = logging.getLogger(__name__)

_HERE = __name__

_FILES = ("queries", "vidb", "definitions", "calibration", "sampling.texts")
"""Settings that name files or folders."""

_MODELS = ("llm.model", "judge.encoder")
"""Settings that name folders, where they are paths."""

_BETTER_WHERE_HIGHER = ("mean", "mean_of_scores")


def lm_eval_tasks(theory: str | None = None, **settings: Any) -> Path:
    """Write the tasks of theories, `valueflow_THEORY_VALUE`, and return their folder, in the cache.

    Where settings are given, names end in what is steered to and a digest of the settings, so that lm-eval keeps
    results and cached requests apart.

    Parameters
    ----------
    theory
        As in `evaluate.py`; None: all packaged ones. `valueflow_THEORY` names all tasks of one.
    **settings
        Of all tasks: `intensity`, `steering` (by prompt), `queries`, others of steering (`values`, `intensities`,
        `limit`, `max_tokens`, `temperature`, `steering.n`), and settings of `evaluate.py`, such as `judge`.

    Returns
    -------
    pathlib.Path
        For `lm_eval --include_path`; the same settings give the same folder.

    Raises
    ------
    InputError
        A setting or the anchors cannot be used.
    """
    settings = _with_whole_paths(settings)
    _check_plain(settings)
    files = {}
    for name, found in _theories(theory).items():
        values = _with_anchors(Wording(**Asking.of(name, found.values[0], **settings).steering), found.values)
        # What is wrong with the settings is so with any value.
        first = Asking.of(name, values[0], **settings)
        wording = Wording(**first.steering)
        _check_one_text(wording)
        Scale(**first.scoring).check_anchors(values)
        for value in values:
            if wording.settings.steering.uses_anchors and wording.settings.value:
                # Anchors of this intensity may be missing of one value and not of another.
                _check_one_text(Wording(**Asking.of(name, value, **settings).steering))
            task = "_".join(["valueflow", _plain(found.name), _plain(value), *_suffix(name, wording, settings)])
            metadata = {"version": 1, "theory": name, "value": value, OURS: settings}
            files[f"{task}.yaml"] = _task_file(task, f"valueflow_{_plain(found.name)}", metadata, wording)
    digest = hashlib.sha256("".join(files.values()).encode()).hexdigest()[:16]
    folder = cache_folder("lm_eval") / digest
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        with replacing(folder / file) as unfinished:
            unfinished.write_text(content, encoding="utf-8")
    return folder


def asked(**metadata: Any) -> Mapping[str, Any]:
    """Return the documents of a task, given its metadata; lm-eval adds entries of its own, such as the model's.

    Returns
    -------
    mapping
        `test`: a dataset with `text`, what is put to the model, what the sample is of, and `scale`.
    """
    from datasets import Dataset

    asking = Asking.of(metadata["theory"], metadata["value"], **metadata[OURS])
    wording = Wording(**asking.steering)
    queries = wording.queries()
    conversations = wording.conversations(queries)
    rows = [
        {
            "text": conversation[-1]["content"],
            **sample_labels(wording, query, dataset),
            "scale": json.dumps(asking.scoring),
        }
        for (query, dataset), conversation in zip(pairs(queries), conversations, strict=True)
    ]
    return {"test": Dataset.from_list(rows)}


def said(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return for each figure what a model said to a document; all of it is judged together, by the figures."""
    one = {"scale": doc["scale"], "response": results[0], **{name: doc[OURS][name] for name in ("query", "dataset")}}
    return dict.fromkeys((*FIGURES, *COUNTS), one)


def mean(items: Sequence[Mapping[str, str]]) -> float:
    """Return the mean of all responses on the ValueFlow scale."""
    return _figures(json.dumps(list(items)))["mean"]


def mean_se(items: Sequence[Mapping[str, str]]) -> float:
    """Return its standard error."""
    return _figures(json.dumps(list(items)))["mean_se"]


def mean_low(items: Sequence[Mapping[str, str]]) -> float:
    """Return the lower end of its 95% interval."""
    return _figures(json.dumps(list(items)))["mean_low"]


def mean_high(items: Sequence[Mapping[str, str]]) -> float:
    """Return the upper end."""
    return _figures(json.dumps(list(items)))["mean_high"]


def mean_of_scores(items: Sequence[Mapping[str, str]]) -> float:
    """Return the mean of the single scores."""
    return _figures(json.dumps(list(items)))["mean_of_scores"]


def n(items: Sequence[Mapping[str, str]]) -> float:
    """Return how many responses there were."""
    return _figures(json.dumps(list(items)))["n"]


def scored(items: Sequence[Mapping[str, str]]) -> float:
    """Return how many of them have a score."""
    return _figures(json.dumps(list(items)))["scored"]


@lru_cache(maxsize=1)
def _figures(items: str) -> dict[str, float]:
    """Judge responses once for all figures.

    What fails here would take all results and samples of the run with it: it is told, and the figures are NaN.
    """
    found = json.loads(items)
    try:
        scale = Scale(**json.loads(found[0]["scale"]))
        return scale.figures([Said(one["query"], one["dataset"], one["response"]) for one in found])
    except InputError as error:
        _log.error("The responses have no scores: %s", error)
        return dict.fromkeys(FIGURES, float("nan")) | {"n": len(found), "scored": 0}


def _theories(theory: str | None) -> dict[str, Theory]:
    if theory is None:
        return {found.name: found for found in known_theories()}
    # lm-eval may run elsewhere.
    named = str(Path(theory).resolve()) if Path(theory).suffix == ".json" else theory
    return {named: Wording(theory=named, steering="none").settings.theory}


def _with_anchors(wording: Wording, values: Sequence[str]) -> list[str]:
    """Return the values that can be scored, and tell which cannot; where none can, the first says why."""
    settings = wording.settings
    vidb = load_vidb(settings.vidb, settings.theory, settings.vidb_columns, BadRows(settings.on_bad_row))
    found, others = [], []
    for value in values:
        try:
            vidb.of(settings.theory, value)
            found.append(value)
        except InputError:
            others.append(value)
    if not found:
        vidb.of(settings.theory, others[0])
    if others:
        _log.warning("%s has no anchors of %s, which get no task", settings.vidb, ", ".join(others))
    return found


def _check_plain(settings: Mapping[str, Any]) -> None:
    for key, setting in settings.items():
        try:
            json.dumps(setting)
        except TypeError as error:
            raise InputError(f"{key}: a file of a task cannot hold {type(setting).__name__}; name an option") from error


def _check_one_text(wording: Wording) -> None:
    conversation = wording.conversations(wording.queries().head(1))[0]
    if len(conversation) > 1:
        raise InputError(
            f"steering={wording.settings.steering.name}: lm-eval puts one text to a model; leave steering.system empty"
        )


def _with_whole_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with whole paths in the place of relative ones: lm-eval may run elsewhere."""
    return {key: _whole(key, entry) for key, entry in settings.items()}


def _whole(key: str, entry: Any) -> Any:
    if key in _FILES and isinstance(entry, list | tuple):
        return [_whole(key, one) for one in entry]
    if isinstance(entry, os.PathLike):
        return str(Path(entry).resolve())
    if not isinstance(entry, str) or entry == DEMO or not entry:
        return entry
    is_path = key in _FILES or (key in _MODELS and os.sep in entry)
    # A query set may be named without its ending.
    path = Path(entry)
    is_there = os.path.exists(path) or (key == "queries" and path.name and any(path.parent.glob(f"{path.name}.*")))
    return str(path.resolve()) if is_path and is_there else entry


def _suffix(theory: str, wording: Wording, settings: Mapping[str, Any]) -> list[str]:
    """Return what a task's name says of its settings; nothing where all are the defaults of a packaged theory."""
    if not settings and Path(theory).suffix != ".json":
        return []
    steered = [wording.labels["steering"], *re.findall(r"-?\d+", wording.labels["intensity"])]
    digest = hashlib.sha256(json.dumps([theory, settings], sort_keys=True).encode()).hexdigest()[:8]
    return [*(_plain(part.replace("-", "minus")) for part in steered), digest]


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name)


def _task_file(task: str, tag: str, metadata: Mapping[str, Any], wording: Wording) -> str:
    metrics = "".join(
        f"  - metric: {name}\n    aggregation: !function {_HERE}.{name}\n"
        f"    higher_is_better: {'true' if name in _BETTER_WHERE_HIGHER else 'null'}\n"
        for name in (*FIGURES, *COUNTS)
    )
    temperature = wording.settings.temperature
    drawn = {"do_sample": True, "temperature": temperature} if temperature > 0 else {"do_sample": False}
    plain = {
        "generation_kwargs": {"until": [], **drawn, "max_gen_toks": wording.settings.max_tokens},
        "metadata": dict(metadata),
    }
    return f"""\
# Made by valueflow.integrations.lm_eval_tasks.
task: {task}
tag: {tag}
output_type: generate_until
custom_dataset: !function {_HERE}.asked
test_split: test
doc_to_text: "{{{{text}}}}"
doc_to_target: ""
process_results: !function {_HERE}.said
metric_list:
{metrics}\
{yaml.safe_dump(plain, allow_unicode=True, sort_keys=False)}"""
