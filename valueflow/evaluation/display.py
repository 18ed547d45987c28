"""Evaluations as a table on the screen."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from valueflow.responses import shown_intensity, shown_targets
from valueflow.run import cost_lines, failure_lines, number, screen

_NOTABLE_Z = 2.0
_NOTABLE_EFFECT = 0.25
"""Logits of a position effect below which it is not worth a word."""
_CONSTANT_SHARE = 0.9
_NOTABLE_MISFIT = 0.05
_NOTABLE_LAPSES = 0.02
_BY_LINE = "line"
"""Source of what is known of a judge by `estimator=regression`."""


def show_evaluation(
    summaries: Sequence[Mapping[str, Any]], title: str | None = None, others: Sequence[str] = ()
) -> None:
    """Print one row per run: value, intensity, mean with 95% interval, failures, reliability, seconds.

    Below it stand what is worth a word: the judges of a panel (where one run is shown), why windows
    failed, what the judges' calls cost, and how many responses have no score.

    Parameters
    ----------
    summaries
        Summaries of runs, as `Evaluation.summary` or read back from `summary.json`.
    title
        Heading of the table.
    others
        For each run, the settings besides value and intensity that differ from the others'; a
        column of its own where there are any.
    """
    console = screen()
    table = Table(title=title, title_justify="left")
    table.add_column("value")
    if any(others):
        table.add_column("settings")
    for heading in (
        "intensity",
        "n",
        "mean",
        "95% interval",
        "failed",
        "judge tau",
        "beta",
        "misreads",
        "seconds",
    ):
        table.add_column(heading, justify="right")
    for place, summary in enumerate(summaries):
        reliability = summary["reliability"]
        table.add_row(
            f"{summary['theory']}/{summary['label']}",
            *([others[place]] if any(others) else []),
            _steered_to(summary),
            str(summary["n"]) if summary["scored"] == summary["n"] else f"{summary['scored']} of {summary['n']}",
            number(summary["mean"], "+.2f"),
            f"{number(summary['mean_low'], '+.2f')} to {number(summary['mean_high'], '+.2f')}",
            number(summary["share_failed"], ".1%"),
            number(reliability["kendall_tau"], ".2f"),
            number(reliability["discrimination"], ".2f"),
            number(reliability["misreading_sd"], ".1f"),
            number(summary["timings"]["total"], ".1f"),
        )
    console.print(table)
    costs = cost_lines("judge calls", (summary.get("judging", {}) for summary in summaries))
    panel = _panel_lines(summaries[0]) if len(summaries) == 1 else []
    for line in (*panel, *costs, *evaluation_remarks(summaries, others)):
        console.print(line, soft_wrap=True)


def evaluation_remarks(summaries: Sequence[Mapping[str, Any]], others: Sequence[str] = ()) -> list[str]:
    """Word what must be known to read the figures of runs: why windows failed, what is wrong with judges and responses.

    Parameters
    ----------
    summaries, others
        As in `show_evaluation`.
    """
    failures = failure_lines(summary["failures"] for summary in summaries)
    adaptive = _adaptive_lines([summary for summary in summaries if "adaptive" in summary])
    warnings = _calibration_lines(summaries) + _judge_lines(summaries, others) + _response_lines(summaries)
    lines = [*failures, *adaptive, *_regression_lines(summaries), *warnings]
    not_converged = sum(summary["not_converged"] for summary in summaries)
    if not_converged:
        lines.append(
            f"{not_converged} responses have no score: the solver did not converge; "
            "raise iter (or lr), or use solver=newton"
        )
    return lines


def show_calibrations(
    summaries: Sequence[Mapping[str, Any]], title: str | None = None, others: Sequence[str] = ()
) -> None:
    """Print one row per judge and value: anchors, reliability, slope of ratings in scores, misreading, coverage.

    Parameters
    ----------
    summaries, title, others
        As in `show_evaluation`, of runs that calibrated a judge.
    """
    console = screen()
    table = Table(title=title, title_justify="left")
    table.add_column("value")
    if any(others):
        table.add_column("settings")
    for heading in ("anchors", "judge tau", "z", "slope", "misreads", "95% interval", "90% intervals hold"):
        table.add_column(heading, justify="right")
    for place, summary in enumerate(summaries):
        calibration = summary["calibration"]
        for judge in calibration["judges"]:
            is_panel = len(calibration["judges"]) > 1
            covered, reliability = judge.get("coverage"), judge["reliability"]
            low, high = judge.get("misreading_sd_low"), judge.get("misreading_sd_high")
            table.add_row(
                " ".join([f"{summary['theory']}/{summary['label']}", *([judge["name"]] if is_panel else [])]),
                *([others[place]] if any(others) else []),
                str(judge["anchors"]) if "anchors" in judge else "0",
                number(reliability["kendall_tau"], "+.2f"),
                number(reliability["order_z"], ".1f"),
                "-" if is_panel else number(calibration["scores"]["slope"], ".2f"),
                number(judge["misreading_sd"], ".1f"),
                "-" if low is None else f"{low:.1f} to {high:.1f}",
                "-" if covered is None else f"{covered['share']:.0%} ({covered['low']:.0%}-{covered['high']:.0%})",
            )
    console.print(table)
    failures = failure_lines(summary["failures"] for summary in summaries)
    costs = cost_lines("judge calls", (summary.get("judging", {}) for summary in summaries))
    listed = sum(summary["left_out"] for summary in summaries)
    left = [f"{listed:,} anchors are in every window (sampling=fixed) and are not scored"] if listed else []
    for line in (*left, *failures, *costs, *_judge_lines(summaries, others)):
        console.print(line, soft_wrap=True)


def _calibration_lines(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Word by which calibrations texts count as misread, once for runs that used the same."""
    used = {
        calibration["file"]: calibration["misreading_sd"]
        for summary in summaries
        if (calibration := summary.get("calibration"))
    }
    return [
        f"{file}: texts are misread by {', '.join(f'{sd:.1f}' for sd in sds.values())} points (sd)"
        for file, sds in used.items()
    ]


def _judge_lines(summaries: Sequence[Mapping[str, Any]], others: Sequence[str]) -> list[str]:
    """Word what is wrong with the judge of each run, once for runs of which the same is true."""
    lines: dict[str, list[str]] = {}
    for place, summary in enumerate(summaries):
        run = _run_name(summary, others[place] if any(others) else "")
        judges = summary.get("judges") or [{"name": "the judge", **summary["reliability"]}]
        settings = summary["settings"]
        left_out = settings["estimator"] != "window_guarded" and settings["judge_check"]
        for judge in judges:
            for line in judge_faults(judge, left_out=left_out):
                lines.setdefault(line, []).append(run)
    if len(summaries) == 1:
        return list(lines)
    return [
        f"{', '.join(runs[:3])}{f' and {len(runs) - 3} more' if len(runs) > 3 else ''}: {line}"
        for line, runs in lines.items()
    ]


def _steered_to(summary: Mapping[str, Any]) -> str:
    """Word what responses were steered to: on one value its intensity, on several each with its own."""
    intensity = summary["intensity"]
    return (shown_targets(summary) if intensity is None else "") or shown_intensity(intensity)


def _run_name(summary: Mapping[str, Any], other: str) -> str:
    intensity = "" if summary.get("intensity") is None else f" {shown_intensity(summary['intensity'])}"
    return f"{summary['label']}{intensity}{f' {other}' if other else ''}"


def judge_faults(judge: Mapping[str, Any], *, left_out: bool = True) -> list[str]:
    """Word what is wrong with a judge: a line each.

    Parameters
    ----------
    judge
        Its name and reliability as in a summary.
    left_out
        Whether a judge that is not shown to order the anchors was left out of the scores.
    """
    name, faults = judge["name"], []
    tau, z = judge["kendall_tau"], judge["order_z"]
    if judge["passed"] is False and z is not None and z < -_NOTABLE_Z:
        consequence = "no scores from it" if left_out else "its scores mean nothing"
        faults.append(
            f"{name} orders the anchors the wrong way round: tau {number(tau, '+.2f')}, z {z:.1f}; {consequence}"
        )
    elif judge["passed"] is False:
        consequence = "no scores from it (judge_check=false scores anyway)" if left_out else "its scores mean little"
        faults.append(
            f"{name} is not shown to order the anchors: tau {number(tau, '+.2f')}, z {number(z, '.1f')}; {consequence}"
        )
    elif judge["passed"] is None and judge["anchors"]:
        faults.append(f"{name} was not tested: no window holds two anchors of different intensity; beta = 1 is assumed")
    elif judge["passed"] is None:
        faults.append(f"{name} ranked no window")
    elif judge["order_z_over_anchors"] is not None and judge["order_z_over_anchors"] < _NOTABLE_Z:
        consequence = (
            "what other values' anchors tell of it decides"
            if judge["source"] == _BY_LINE
            else "the intervals are wide for this reason"
        )
        faults.append(
            f"{name} may order the anchors by chance: over {judge['anchors']} anchors z is "
            f"{judge['order_z_over_anchors']:.1f}; {consequence}"
        )
    lapses = judge["lapse_rate"]
    if lapses is not None and lapses > _NOTABLE_LAPSES:
        faults.append(f"{name} ranks about {lapses:.0%} of its windows at random; these count for little")
    share = judge["commonest_order_share"]
    if share is not None and share > _CONSTANT_SHARE:
        order = ", ".join(str(place) for place in judge["commonest_order"])
        faults.append(f"{name} answers the same order of the places in its prompt ({order}) in {share:.0%} of windows")
    effect, error = judge["position_effect"], judge["position_effect_se"]
    if effect is not None and error and abs(effect) > max(_NOTABLE_Z * error, _NOTABLE_EFFECT):
        verb = "likes" if effect > 0 else "dislikes"
        faults.append(f"{name} {verb} the item shown first: {effect:+.2f} logits, z {effect / error:.1f}")
    return faults


def _response_lines(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Word how many responses fit no place on the scale, how many are far from any anchor, and which have no query."""
    scored = sum(summary["scored"] for summary in summaries)
    misfit = sum(summary["misfit"] for summary in summaries)
    far = sum(summary["far_from_anchors"] for summary in summaries)
    lines = []
    if misfit > _NOTABLE_MISFIT * scored and misfit > 1:
        lines.append(
            f"{misfit:,} of {scored:,} responses fit no place on the scale (column misfit; 1% would by chance)"
        )
    if far:
        lines.append(
            f"{far:,} of {scored:,} scores have no anchor near (within 2 / slope in ratings): "
            "more anchors there would help"
        )
    if without := sum(map(_is_without_queries, summaries)):
        runs = "" if len(summaries) == 1 else f" of {without} of {len(summaries)} runs"
        lines.append(
            f"the responses{runs} have no query: in the interval of the mean each counts as a query of its own"
        )
    return lines


def _is_without_queries(summary: Mapping[str, Any]) -> bool:
    """Return whether no response of a run has a query, so that its scores make as many clusters."""
    return bool(summary["without_query"] == summary["n"] and 0 < summary["scored"] == summary["clusters"])


def _panel_lines(summary: Mapping[str, Any]) -> list[str]:
    """Word one line per judge of a panel, and how far they agree."""
    judges = summary.get("judges", [])
    width = max((len(judge["name"]) for judge in judges), default=0)
    lines = [
        f"{judge['name']:<{width}}  tau {number(judge['kendall_tau'], '.2f')}  "
        f"beta {number(judge['discrimination'], '.2f')}  "
        f"failed {judge['windows_failed']:,} of {judge['windows']:,}"
        for judge in judges
    ]
    if judges:
        lines.append(f"agreement (Kendall's W) {number(summary['agreement']['kendall_w'], '.2f')}")
    return lines


def _regression_lines(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Word how well anchors are predicted by runs without windows, once for runs of which the same is true."""
    lines = []
    for summary in summaries:
        if "regression" in summary:
            found = summary["regression"]["all_values"]
            lines.append(
                f"{found['anchors']:,} anchors, each left out: Spearman {number(found['spearman'], '.2f')}, off by "
                f"{found['rmse']:.1f} points (RMSE), 90% interval +-{found['half_width']:.1f}, "
                f"{number(found['wrong_side'], '.0%')} on the wrong side of 0"
            )
    return list(dict.fromkeys(lines))


def _adaptive_lines(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Word how many windows adaptive runs took, what bucket would have taken, and which responses fell short."""
    if not summaries:
        return []
    counts = [summary["n"] for summary in summaries]
    n = sum(counts)
    taken = sum(map(operator.mul, counts, (summary["adaptive"]["windows_per_response"] for summary in summaries))) / n
    buckets = [summary["adaptive"]["bucket_windows"] for summary in summaries]
    # A run whose windows all failed has no estimate: None as it is read back, NaN before.
    bucket = None if None in buckets else sum(map(operator.mul, counts, buckets)) / n
    reached, at_most = (
        sum(summary["adaptive"][figure] for summary in summaries) for figure in ("reached", "stopped_at_most")
    )
    lines = [
        f"adaptive windows: {taken:.1f} per response, where bucket would need {number(bucket, '.1f')} for the same "
        "accuracy",
        f"{reached:,} of {n:,} responses reached the target",
    ]
    if at_most:
        lines.append(f"{at_most:,} stopped short of it at the most windows: raise m")
    if little := n - reached - at_most:
        lines.append(f"for {little:,} a further window promised too little")
    return ["; ".join(lines)]
