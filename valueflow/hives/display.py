"""Trainings, measurements and conversions on the screen."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.table import Table

from valueflow.run import number, screen

_Block = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Takes what was measured, returns one block of it."""

_PUBLISHED = "published"
"""Key of the metrics by the published definitions, where they are asked for."""

_METRICS = {
    "ranking_accuracy": "ranking accuracy",
    "strict_accuracy": "strict ranking accuracy",
    "similarity_correlation": "similarity correlation",
    "orthogonality": "orthogonality of values",
    "direction_accuracy": "direction accuracy",
    "direction_accuracy_chance": "  (most frequent direction)",
    "value_recall_at_3": "which value: recall at 3",
    "value_recall_at_3_chance": "  (by chance)",
    "value_macro_f1": "which value: macro-F1",
    "value_macro_f1_chance": "  (by chance)",
    "anchor_retrieval": "cross-theory retrieval",
    "anchor_retrieval_chance": "  (by chance)",
}


_WAYS = {
    "table": "our table",
    "name": "being a node's name",
    "definition": "the nearest definition",
    "unmapped": "nothing: left out",
}


def show_training(summary: Mapping[str, Any]) -> None:
    """Print the metrics before and after a training, and where the model is."""
    console = screen()
    before, after, data = summary["before"], summary["after"], summary["data"]
    if after is not None:
        table = Table(title=_title(summary), title_justify="left")
        table.add_column(f"{data['measured']} texts")
        for heading in ("before", "after", "standard error", "difference", "standard error"):
            table.add_column(heading, justify="right")
        for label, name, block in _named(after):
            old, new = (block(metrics)["overall"].get(name) if metrics else None for metrics in (before, after))
            error = block(after)["standard_errors"]["overall"].get(name)
            of_difference = (summary["difference_standard_errors"] or {}) if block is _standard else {}
            table.add_row(
                label,
                number(old, ".3f"),
                number(new, ".3f"),
                number(error, ".3f"),
                *_difference(old, new, of_difference.get(name)),
            )
        console.print(table)
    console.print(
        f"{data['training']:,} training, {data['validation']:,} validation and {data['test']:,} test texts; "
        f"{summary['steps']:,} steps, the weights of step {summary['best_step']:,}; "
        f"{summary['timings']['total']:.0f} s",
        soft_wrap=True,
    )
    console.print(f"model: {summary['export']}", soft_wrap=True)


def show_trainings(summaries: Sequence[Mapping[str, Any]], title: str, others: Sequence[str]) -> None:
    """Print one row per training of a sweep: ranking accuracy and similarity correlation before and after."""
    console = screen()
    table = Table(title=title, title_justify="left")
    for heading in ("stage", "loss", *(["settings"] if any(others) else [])):
        table.add_column(heading)
    for heading in ("best step", "ranking before", "after", "correlation before", "after", "retrieval", "seconds"):
        table.add_column(heading, justify="right")
    for place, summary in enumerate(summaries):
        metrics = [
            number((summary[when] or {}).get("overall", {}).get(name), ".3f")
            for name in ("ranking_accuracy", "similarity_correlation")
            for when in ("before", "after")
        ]
        retrieval = (summary["after"] or {}).get("overall", {}).get("anchor_retrieval")
        table.add_row(
            summary["stage"],
            summary["settings"]["loss"],
            *([others[place]] if any(others) else []),
            str(summary["best_step"]),
            *metrics,
            number(retrieval, ".3f"),
            f"{summary['timings']['total']:.0f}",
        )
    console.print(table)


def show_measurements(summaries: Sequence[Mapping[str, Any]], title: str, others: Sequence[str]) -> None:
    """Print a table for each measured encoder of a sweep."""
    for summary in summaries:
        show_metrics(summary)


def show_metrics(summary: Mapping[str, Any]) -> None:
    """Print the metrics of an encoder, overall and by theory, and the mean distances by what texts share."""
    console = screen()
    metrics = summary["after"]
    data = summary["data"]
    table = Table(title=f"{summary['model']}, {data['texts']:,} {data['measured']} texts", title_justify="left")
    table.add_column("metric")
    for heading in ("all", "standard error", *metrics["theories"]):
        table.add_column(heading, justify="right")
    for label, name, block in _named(metrics):
        figures = block(metrics)
        table.add_row(
            label,
            number(figures["overall"].get(name), ".3f"),
            number(figures["standard_errors"]["overall"].get(name), ".3f"),
            *[number(own.get(name), ".3f") for own in figures["theories"].values()],
        )
    console.print(table)
    for baseline in summary["baselines"]:
        _print_comparison(summary["model"], metrics, baseline)
    _print_distances(metrics)


def _print_comparison(model: str, metrics: Mapping[str, Any], baseline: Mapping[str, Any]) -> None:
    """Print what an encoder reaches beside another one on the same texts."""
    table = Table(title=f"{baseline['model']} -> {model}", title_justify="left")
    table.add_column("metric")
    for heading in ("before", "after", "difference", "standard error"):
        table.add_column(heading, justify="right")
    for label, name, block in _named(metrics):
        if block is _standard:
            old, new = (one["overall"].get(name) for one in (baseline["metrics"], metrics))
            error = baseline["difference_standard_errors"].get(name)
            table.add_row(label, number(old, ".3f"), number(new, ".3f"), *_difference(old, new, error))
    screen().print(table)


def _difference(old: float | None, new: float | None, error: float | None) -> tuple[str, str]:
    """Word a difference and its standard error."""
    change = new - old if old is not None and new is not None else None
    return number(change, "+.3f"), number(error, ".3f")


def _print_distances(metrics: Mapping[str, Any]) -> None:
    """Print the mean cosine distance by shared levels and direction, and how much it grows."""
    distances, ratios = metrics["distances"]["overall"], metrics["distance_ratios"]["overall"]
    depth = sum(name.removeprefix("shared_").isdecimal() for name in distances) - 1
    title = "mean cosine distance; ratio: to that of texts with more levels in common, within a theory"
    table = Table(title=title, title_justify="left")
    table.add_column("levels in common")
    for heading in ("same direction", "ratio", "other direction", "ratio", "other / same direction"):
        table.add_column(heading, justify="right")
    for shared in range(depth, -1, -1):
        cells = []
        for direction in ("same", "other"):
            cells.append(number(distances[f"shared_{shared}_{direction}_direction"], ".3f"))
            cells.append(number(ratios.get(f"shared_{shared}_to_next_{direction}_direction"), ".2f"))
        other_to_same = number(ratios[f"shared_{shared}_other_to_same_direction"], ".2f")
        table.add_row(f"{shared} (whole path)" if shared == depth else str(shared), *cells, other_to_same)
    screen().print(table)


def show_conversion(summary: Mapping[str, Any]) -> None:
    """Print what a training table holds."""
    data = summary["data"]
    console = screen()
    console.print(f"{data['rows']:,} rows of {data['texts']:,} texts", soft_wrap=True)
    for kind in ("theories", "directions"):
        console.print(", ".join(f"{name}: {count:,}" for name, count in data[kind].items()), soft_wrap=True)
    if "names" in data:
        _print_names(data["names"])


def _print_names(names: Mapping[str, Mapping[str, int]]) -> None:
    """Print how many free names were mapped, and how."""
    table = Table(title="free names of values, listed in names.csv", title_justify="left")
    for heading in ("mapped by", "names", "rows"):
        table.add_column(heading, justify="left" if heading == "mapped by" else "right")
    for way, counts in names.items():
        table.add_row(_WAYS[way], f"{counts['names']:,}", f"{counts['rows']:,}")
    screen().print(table)


def _title(summary: Mapping[str, Any]) -> str:
    return f"stage {summary['stage']}, loss {summary['settings']['loss']}, from {summary['model']}"


def _named(metrics: Mapping[str, Any]) -> list[tuple[str, str, _Block]]:
    """Return label, name and block of each metric that is there; the neighbors' votes by level among them."""
    named: list[tuple[str, str, _Block]] = []
    for prefix, neighbors, block in (("", "kNN", _standard), (f"{_PUBLISHED}: ", "1-NN", _published)):
        overall = block(metrics)["overall"]
        labels = dict(_METRICS)
        for name in overall:
            if name.startswith("knn_level_"):
                labels[name] = f"{neighbors} accuracy, level {name.removeprefix('knn_level_')}"
        named += [(f"{prefix}{label}", name, block) for name, label in labels.items() if overall.get(name) is not None]
    return named


def _standard(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    return metrics


def _published(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    block: Mapping[str, Any] = metrics.get(_PUBLISHED, {"overall": {}})
    return block
