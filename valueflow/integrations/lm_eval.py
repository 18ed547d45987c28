"""Tasks for lm-evaluation-harness: a folder to include by path, and the functions that its files name."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from valueflow.integrations.asking import Asking, pairs, sample_labels
from valueflow.integrations.measuring import FIGURES, Said, Scale
from valueflow.responses import OURS
from valueflow.run import InputError, cache_folder, replacing
from valueflow.steering import Wording
from valueflow.theory import Theory, known_theories

_HERE = __name__


def lm_eval_tasks(theory: str | None = None, **settings: Any) -> Path:
    """Write the tasks of theories, `valueflow_THEORY_VALUE`, and return their folder, in the cache.

    Parameters
    ----------
    theory
        As in `evaluate.py`; None: all packaged ones. `valueflow_THEORY` names all tasks of one.
    **settings
        Of all tasks: `intensity`, `steering` (by prompt), `queries`, and settings of `evaluate.py`, such as `judge`.
        Files by their whole path, since lm-eval may run elsewhere.

    Returns
    -------
    pathlib.Path
        For `lm_eval --include_path`; the same settings give the same folder.

    Raises
    ------
    InputError
        A setting cannot be used.
    """
    _check_plain(settings)
    files = {}
    for name, found in _theories(theory).items():
        # What is wrong with the settings is so with any value.
        first = Asking.of(name, found.values[0], **settings)
        wording = Wording(**first.steering)
        _check_one_text(wording)
        Scale(**first.scoring)
        for value in found.values:
            task = f"valueflow_{_plain(found.name)}_{_plain(value)}"
            metadata = {"version": 1, "theory": name, "value": value, OURS: settings}
            files[f"{task}.yaml"] = _task_file(
                task, f"valueflow_{_plain(found.name)}", metadata, wording.settings.max_tokens
            )
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
    return dict.fromkeys(FIGURES, one)


def mean(items: Sequence[Mapping[str, str]]) -> float:
    """Return the mean of all responses on our scale."""
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


@lru_cache(maxsize=1)
def _figures(items: str) -> dict[str, float]:
    """Judge responses once for all figures."""
    found = json.loads(items)
    scale = Scale(**json.loads(found[0]["scale"]))
    return scale.figures([Said(one["query"], one["dataset"], one["response"]) for one in found])


def _theories(theory: str | None) -> dict[str, Theory]:
    if theory is None:
        return {found.name: found for found in known_theories()}
    # lm-eval may run elsewhere.
    named = str(Path(theory).resolve()) if Path(theory).suffix == ".json" else theory
    return {named: Wording(theory=named, steering="none").settings.theory}


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


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name)


def _task_file(task: str, tag: str, metadata: Mapping[str, Any], max_tokens: int) -> str:
    functions = "".join(
        f"  - metric: {name}\n    aggregation: !function {_HERE}.{name}\n    higher_is_better: true\n"
        for name in FIGURES
    )
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
{functions}\
generation_kwargs: {{until: [], do_sample: false, max_gen_toks: {max_tokens}}}
metadata: {json.dumps(metadata)}
"""
