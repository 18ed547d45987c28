"""What loggers show of a run: its settings, without secrets, its tags and its figures."""

import html
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valueflow.run import RUN_KEYS, Outcome, RunInfo, SweepInfo, flattened, plain, result_settings, shorten, versions

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_LONGEST_TAG = 64
"""Of Weights & Biases."""

_SECRET_NAME = re.compile(r"(?i)(key|token|secret|password|authorization)$")
_NOT_SECRET = re.compile(r"(?i)(max_tokens|token_limit_key|value_key)$")
_GIVEN_IN_TEXT = re.compile(
    r"""(?i)(?<![\w.-])((?:[\w.-]*[_.-](?:key|token)|[\w.-]*(?:secret|password|authorization))["']?\s*[:=]\s*["']?)([^\s"',}<]+)"""
)
"""`api_key=...` and `api_key: ...`, as in overrides and command lines, and up to the next tag on a page."""

_IN_URL = re.compile(r"(?<=://)[^/@\s<]+@")
_HIDDEN = "***"
_SHORTEST_SECRET = 8

_HOW_TO_RUN = (*RUN_KEYS, "experiment", "hparams_search", "hydra", "progress", "cache")

MAIN_FIGURES = (
    *("mean", "mean_low", "mean_high", "mean_se", "reliability.kendall_tau", "share_failed"),
    *("share_refused", "mean_words", "overall.default_accuracy", "overall.profile_accuracy"),
    *("agreement", "split_half.stepped_up", "after.overall.ranking_accuracy", "texts_per_second"),
    "families.dose-response.significant",
)
"""What runs of the commands are compared by, where their summaries have it."""


def group_of(sweep_folder: Path) -> str:
    """Name a sweep by date and time, as its folder is: two days' sweeps of one hour stay apart."""
    return "_".join(sweep_folder.absolute().parts[-2:])


def logged_config(run: RunInfo) -> dict[str, Any]:
    """Return the settings of a run for a logger.

    Returns
    -------
    dict
        Chosen options by group (`judge: embedding`) beside the plain settings; the settings of these options under
        `options`, by group; `versions`. Without secrets (see `redacted`).
    """
    settings: dict[str, Any] = result_settings(run.config)
    groups = {group: settings[group] for group in run.options if isinstance(settings.get(group), Mapping)}
    details = {
        group: {
            key: entry
            for key, entry in node.items()
            # What an option has from elsewhere (`seed: ${seed}`) is shown there. A theory's content is its name's.
            if key != "_target_" and entry is not None and not (key in settings and settings[key] == entry)
        }
        for group, node in groups.items()
        if group != "theory"
    }
    others = {key: entry for key, entry in settings.items() if key not in groups}
    shown = {**run.options, **others, "options": details, "versions": versions()}
    return redacted(plain(shown))  # type: ignore[no-any-return]


def run_tags(run: RunInfo) -> list[str]:
    """Return what runs are found by: theory, value, model and judge."""
    values = run.config.get("values") or [run.config.get("value")]
    llm = run.config.get("llm")
    models = [run.config.get("model"), llm.get("model") if isinstance(llm, Mapping) else None]
    # Of a model's folder its name is enough.
    names = [Path(str(model)).name if os.path.isdir(str(model)) else model for model in models]
    found = [run.options.get("theory"), *values, *names, run.options.get("judge")]
    return list(dict.fromkeys(shorten(str(redacted(tag)), _LONGEST_TAG) for tag in found if tag not in (None, "")))


def redacted(node: Any) -> Any:
    """Return settings or figures without secrets.

    Hidden are entries whose names say that they are keys, tokens or passwords; names and passwords in URLs; and
    wherever it stands, what such a variable of the environment holds.
    """
    return _redacted(node, _secrets_of_environment())


def _redacted(node: Any, secrets: list[str]) -> Any:
    if isinstance(node, Mapping):
        return {
            key: _HIDDEN if _is_secret(str(key), entry) else _redacted(entry, secrets) for key, entry in node.items()
        }
    if isinstance(node, list | tuple):
        return [_redacted(entry, secrets) for entry in node]
    if not isinstance(node, str):
        return node
    for secret in secrets:
        node = node.replace(secret, _HIDDEN)
    node = _GIVEN_IN_TEXT.sub(rf"\1{_HIDDEN}", node)
    return _IN_URL.sub(f"{_HIDDEN}@", node)


def _is_secret(name: str, entry: Any) -> bool:
    return isinstance(entry, str) and bool(entry and _SECRET_NAME.search(name) and not _NOT_SECRET.search(name))


def _secrets_of_environment() -> list[str]:
    found = {
        entry for name, entry in os.environ.items() if _SECRET_NAME.search(name) and len(entry) >= _SHORTEST_SECRET
    }
    # On a page they are escaped.
    return sorted(found | {html.escape(secret) for secret in found}, key=len, reverse=True)


def flat_settings(run: RunInfo) -> dict[str, str | float]:
    """Return the settings of a run in one row: `judge: embedding`, `judge.encoder: minilm`, `intensity: 2`."""
    shown = logged_config(run)
    options = flattened(shown.pop("options"))
    del shown["versions"]
    return {
        key: entry for key, entry in {**flattened(shown), **options}.items() if isinstance(entry, str | float | int)
    }


def flat_figures(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures of a summary that are numbers, in one row."""
    figures = plain(flattened(summary))
    return {
        key: float(figure)
        for key, figure in figures.items()
        if isinstance(figure, int | float) and not isinstance(figure, bool)
    }


def scored(outcome: Outcome) -> "Iterator[tuple[str, npt.NDArray[np.float64]]]":
    """Yield each column of scores or ratings in [-10, 10] that an outcome has.

    Yields
    ------
    str
        `score`, whatever the value, or `final_rating`.
    numpy.ndarray
        Those that are known, (N,); N is 1 at least.
    """
    for table in outcome.tables().values():
        for column in table.columns:
            name = "score" if str(column).endswith("_score") else column
            if name in ("score", "final_rating"):
                numbers = table[column].dropna().to_numpy(dtype=float)
                if len(numbers):
                    yield name, numbers


def swept_settings(sweep: SweepInfo) -> dict[str, list[str]]:
    """Return what the jobs of a sweep were given on the command line: by key, the values that finished jobs have."""
    found: dict[str, dict[str, None]] = {}
    for job in sweep.finished.values():
        for override in job.overrides:
            key, _, entry = override.lstrip("+").partition("=")
            if key.partition(".")[0] not in _HOW_TO_RUN:
                found.setdefault(key, {})[redacted({key: entry})[key]] = None
    return {key: list(entries) for key, entries in found.items()}
