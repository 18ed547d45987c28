"""Surveys as tables on the screen."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from valueflow.opinionqa.distributions import MIN_LETTER_MASS
from valueflow.run import cost_lines, failure_lines, number, screen

_ACCURACIES = ("n", "default", "profile", "difference", "95% interval", "p", "Holm p", "blind")
_ALIGNMENTS = ("n", "default", "profile", "difference", "95% interval", "own - other", "95% interval", "Holm p")


def show_survey(summary: Mapping[str, Any]) -> None:
    """Print a survey's accuracy and alignment by attribute group and overall, both passes side by side."""
    console = screen()
    rows = (*summary["groups"], {"name": "overall", **summary["overall"]})
    title = f"{summary['preset']}: {summary['model']}, {summary['theory']}"
    for what, headings, cells in (
        ("accuracy", _ACCURACIES, _accuracies),
        ("alignment with the groups' distributions", _ALIGNMENTS, _alignments),
    ):
        table = Table(title=f"{title}; {what}", title_justify="left")
        table.add_column("group")
        for heading in headings:
            table.add_column(heading, justify="right")
        for row in rows:
            table.add_row(row["name"], *cells(row))
        console.print(table)
    for line in (_used(summary), *_readings(summary), *_lost(summary), *_costs([summary])):
        console.print(line, soft_wrap=True)


def show_surveys(summaries: Sequence[Mapping[str, Any]], title: str, others: Sequence[str]) -> None:
    """Print one row per survey of a sweep: preset, model, both accuracies, their difference, the profile's gain."""
    console = screen()
    table = Table(title=title, title_justify="left")
    for heading in ("preset", *(["settings"] if any(others) else []), "model", "theory"):
        table.add_column(heading)
    for heading in ("n", "default", "profile", "difference", "95% interval", "p", "own - other", "95% interval"):
        table.add_column(heading, justify="right")
    for place, summary in enumerate(summaries):
        overall = summary["overall"]
        table.add_row(
            summary["preset"],
            *([others[place]] if any(others) else []),
            summary["model"],
            summary["theory"],
            *_accuracies(overall)[:6],
            *_with_interval(overall, "own_minus_other", "+.3f"),
        )
    console.print(table)
    for summary in summaries:
        console.print(f"{summary['preset']}, {_used(summary)}", soft_wrap=True)
    lost = [f"{summary['preset']}, {line}" for summary in summaries for line in _lost(summary)]
    for line in (*lost, *_costs(summaries)):
        console.print(line, soft_wrap=True)


def _used(summary: Mapping[str, Any]) -> str:
    """Word how many questions were asked with the profile, by which rule, and how many have no relevance."""
    share = summary["profile_used"] / summary["n"]
    rule = f"relevance from {summary['profile_used_from']:g}"
    if summary["profile_used_by"] == "share":
        rule = f"the most relevant share of {summary['settings']['relevance_share']:g} of the questions, {rule}"
    lacking = [f"{count:,} with {reason}" for reason, count in summary["relevance_missing"].items()]
    missing = f"; {' and '.join(lacking)} have the default prompt" if lacking else ""
    return (
        f"profile used for {summary['profile_used']:,} of {summary['n']:,} questions, {share:.0%} ({rule}; "
        f"{summary['relevance']}{missing})"
    )


def _accuracies(row: Mapping[str, Any]) -> list[str]:
    """Word the columns of `_ACCURACIES`."""
    return [
        str(row["n"]),
        f"{row['default_accuracy']:.1%}",
        f"{row['profile_accuracy']:.1%}",
        *_with_interval(row, "difference", "+.1%"),
        number(row["permutation_p"], ".3f"),
        number(row["permutation_p_holm"], ".3f"),
        number(row["blind_accuracy"], ".1%"),
    ]


def _alignments(row: Mapping[str, Any]) -> list[str]:
    """Word the columns of `_ALIGNMENTS`."""
    return [
        str(row["alignment_n"]),
        number(row["default_alignment"], ".3f"),
        number(row["profile_alignment"], ".3f"),
        *_with_interval(row, "alignment_difference", "+.3f"),
        *_with_interval(row, "own_minus_other", "+.3f"),
        number(row["own_minus_other_p_holm"], ".3f"),
    ]


def _with_interval(row: Mapping[str, Any], name: str, form: str) -> list[str]:
    low, high = (number(row[f"{name}_{end}"], form) for end in ("low", "high"))
    return [number(row[name], form), "-" if low == "-" else f"{low} to {high}"]


def _readings(summary: Mapping[str, Any]) -> Iterator[str]:
    """Word how the figures are to be read."""
    counts, overall = summary["counts"], summary["overall"]
    yield (
        f"intervals are clustered by question ({overall['questions']:,}), p flips whole questions; Holm p allows for "
        "the number of groups"
    )
    yield (
        "blind: the best single answer to each question, the same for all its groups "
        f"({counts['answers_to_questions_of_one_group']:,} of the answers are to questions of one group alone, which "
        "it always gets right)"
    )
    if counts["mixed_sources"]:
        yield (
            f"{counts['mixed_sources']:,} answers have distributions of two kinds in the two passes; they are left out "
            "of alignments and gains"
        )
    for name, sources in summary["distributions"].items():
        yield f"distributions, {name} pass: {', '.join(_sources(sources, summary['settings']))}"
    yield (
        f"of alignment, the groups' most frequent options would reach {number(overall['majority_alignment'], '.3f')}, "
        f"the best single options {number(overall['best_option_alignment'], '.3f')}, answers drawn from the groups "
        f"themselves {number(overall['sampling_alignment'], '.3f')}; {counts['without_order']:,} answers are to "
        f"questions whose options have no order, {counts['without_alignment']:,} name nothing on the scale"
    )
    yield (
        f"own - other: over {overall['own_minus_other_n']:,} answers whose question is asked of another group, too, "
        "how much nearer the profile brings them to the group's own distribution, less to those of other groups (for "
        f"{counts['gains_against_groups_of_any_kind']:,} answers none is of the same kind, so all others count)"
    )


def _sources(sources: Mapping[str, int], settings: Mapping[str, Any]) -> Iterator[str]:
    if sources["logprobs"]:
        yield f"{sources['logprobs']:,} from the letters' log-probabilities"
    if sources["samples"]:
        yield f"{sources['samples']:,} from {settings['samples']:,} samples each"
    if sources["chosen"]:
        yield f"{sources['chosen']:,} are the chosen option alone, all of it on one point"
    if sources["none"]:
        yield f"{sources['none']:,} answers have none"
    if settings["logprobs"] and sources["without_logprobs"]:
        yield f"for {sources['without_logprobs']:,} the model gave no log-probabilities"
    if sources["few_letters"]:
        yield f"for {sources['few_letters']:,} the letters held less than {MIN_LETTER_MASS:.0%} of the probability"


def _lost(summary: Mapping[str, Any]) -> list[str]:
    """Word the answers of each pass that count as wrong for want of an option."""
    lines = []
    for name, lost in summary["passes"].items():
        if lost["unparsable"] or lost["failed"]:
            lines.append(
                f"{name} pass: {lost['unparsable']:,} answers name no option and {lost['failed']:,} calls failed; "
                "all count as wrong"
            )
            lines += [f"{name} pass: {line}" for line in failure_lines([lost["failures"]])]
    return lines


def _costs(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    return cost_lines("calls", (summary["asking"] for summary in summaries))
