"""Raw texts, a value and a judge in; a value intensity database, what people should look at and a summary out."""

import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import spearmanr

from valueflow.construction.calibration import Scale, isotonic_scale, symmetric_scale
from valueflow.construction.checking import Checked, check_ratings
from valueflow.construction.cost import Cost, cost_of
from valueflow.construction.display import plan_line, show_construction
from valueflow.construction.flags import outfit
from valueflow.construction.publishing import publish
from valueflow.construction.reliability import SplitHalf, split_half
from valueflow.construction.rounds import Judged, judge_rounds, planned_rounds, prompt_orders, summed_report
from valueflow.construction.settings import ConstructionSettings
from valueflow.construction.texts import HUMAN_RATING, ID, Reviewed, Texts, read_reviewed, read_texts
from valueflow.judge import Question, Windows
from valueflow.plackett_luce import ItemFit
from valueflow.run.draws import row_keys
from valueflow.run.errors import InputError
from valueflow.run.outputs import write_csv, write_json
from valueflow.run.progress import progress_bar
from valueflow.run.summary import SUMMARY_FILE, Timings, versions
from valueflow.theory import Theory
from valueflow.vidb import load_vidb

PLAN_FILE, RANKINGS_FILE, ALL_FILE, REVIEW_FILE = "plan.csv", "rankings.csv", "ratings.csv", "review.csv"
UNRANKED_FILE, PICTURE_FILE, VIDB_FOLDER = "unranked.csv", "distribution.svg", "vidb"

DATABASE_COLUMNS = ("text", "final_rating", "standard_error", "windows", "machine_rating", HUMAN_RATING, ID)
_REVIEW_COLUMNS = (ID, "text", "final_rating", "standard_error", "outfit", "odd_votes", HUMAN_RATING)
_NAMED_TEXTS = 5
_FLAGGED, _FOUND_ODD = "flagged", "found odd by the panel"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Construction:
    """A value intensity database and how it came about; after `dry_run` there are only `plan` and `summary`.

    Attributes
    ----------
    database
        What is published: `text`, `final_rating` in [-10, 10], `standard_error`, `windows`, `machine_rating`,
        `human_rating`, `id`; ascending by rating.
    ratings
        All texts that were ranked, also those that are not published, with utilities, outfit and the reason.
    review
        Texts that people should rate: an empty column `human_rating` to fill in; the file is what `reviewed` takes.
    unranked
        Texts of which no window could be ranked.
    plan
        One row a window: `window`, `round`, `id_1` and so on, `prompt_order`.
    rankings
        One row a window and judge: `window`, `judge`, `ranking` (numbers of the ids, the most supportive first),
        `failure`.
    summary
        Counts, reliability, judge, cost, settings, versions, timings.
    """

    plan: pd.DataFrame
    summary: dict[str, Any]
    theory: Theory
    value: str
    database: pd.DataFrame = field(default_factory=pd.DataFrame)
    ratings: pd.DataFrame = field(default_factory=pd.DataFrame)
    review: pd.DataFrame = field(default_factory=pd.DataFrame)
    unranked: pd.DataFrame = field(default_factory=pd.DataFrame)
    rankings: pd.DataFrame = field(default_factory=pd.DataFrame)

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the tables that have rows by name, for loggers."""
        tables = {"database": self.database, "review": self.review, "plan": self.plan}
        return {name: table for name, table in tables.items() if not table.empty}

    def show(self) -> None:
        """Print the figures for a person."""
        show_construction(self.summary)

    def write(self, folder: Path, push_to: str | None) -> None:
        """Write all tables that have rows, the database with its card, the picture and `summary.json`; then upload."""
        files = {
            PLAN_FILE: self.plan,
            RANKINGS_FILE: self.rankings,
            ALL_FILE: self.ratings,
            REVIEW_FILE: self.review,
            UNRANKED_FILE: self.unranked,
        }
        for name, table in files.items():
            if not table.empty:
                write_csv(table, folder / name)
        if not self.database.empty:
            from valueflow.construction.picture import draw_distribution

            draw_distribution(
                self.ratings["final_rating"].to_numpy(dtype=float),
                self.ratings["standard_error"].to_numpy(dtype=float),
                self.ratings["published"].to_numpy(dtype=bool),
                folder / PICTURE_FILE,
            )
            publish(self.database, self.theory, self.value, self.summary, folder / VIDB_FOLDER, push_to)
        write_json(self.summary, folder / SUMMARY_FILE)


def construct(settings: ConstructionSettings) -> Construction:
    """Rank texts among each other, and make a database of them.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.
    """
    started = datetime.now(UTC)
    timings = Timings()
    theory, value = settings.theory, settings.theory.resolve(settings.value)
    with timings.stage("load"):
        texts = read_texts(settings.input, settings.input_columns, settings.limit, settings.calibration)
        if settings.k > len(texts):
            raise InputError(
                f"k={settings.k} texts in a window, but there are {len(texts)} different texts; set k lower"
            )
        reviewed = read_reviewed(settings.reviewed, texts.ids) if settings.reviewed is not None else None
        question = Question(theory, value, load_vidb(settings.vidb, theory))
    with timings.stage("plan"):
        keys = row_keys(pd.DataFrame({"text": texts.texts}), settings.seed)
        items, round_of = planned_rounds(keys, settings.k, settings.random_rounds)
        order = prompt_orders(keys, items, round_of)
        n_windows = len(items) + (settings.m - settings.random_rounds) * -(-len(texts) // settings.k)
        windows = Windows.among(question, texts.texts, items, order)
        cost = cost_of(settings.judge, question, windows, n_windows)
    head = _head(settings, value, texts, n_windows, cost)
    _log.info(plan_line(head))
    tail = {"versions": versions(), "started": started.isoformat(timespec="seconds")}
    if settings.dry_run:
        plan = _plan_table(texts, items, order, round_of)
        return Construction(plan, {**head, **tail, "timings": timings.as_dict()}, theory, value)
    times = settings.judge.rankings_per_window
    title, steps = f"{theory.name}/{value}", "windows" if times == 1 else "rankings"
    with (
        timings.stage("judge"),
        progress_bar(title, times * n_windows, steps, enabled=settings.progress) as advance,
    ):
        judged, fit = judge_rounds(
            settings.judge,
            question,
            texts.texts,
            keys,
            k=settings.k,
            m=settings.m,
            random=settings.random_rounds,
            prior_precision=settings.prior_precision,
            progress=advance,
        )
    with timings.stage("calibrate"):
        ratings, scale = _ratings(settings, texts, judged, fit, reviewed)
    checked: Checked | None = None
    if settings.panel is not None:
        with timings.stage("check"):
            ratings, checked = _checked(settings, value, ratings)
    with timings.stage("reliability"):
        halves = split_half(
            judged.rankings,
            len(texts),
            judges=judged.judges_used,
            windows=judged.windows[judged.used],
            prior_precision=fit.prior_precision,
            seed=settings.seed,
        )
    database = ratings.loc[ratings["published"], list(DATABASE_COLUMNS)].reset_index(drop=True)
    if database.empty:
        raise InputError(
            f"none of {len(ratings)} texts can be published: all are flagged or people disagree; "
            "set flag_misfit or agree_within higher, or panel=none"
        )
    to_review = ratings["left_out_as"].isin((_FLAGGED, _FOUND_ODD))
    review = ratings.loc[to_review, list(_REVIEW_COLUMNS)].reset_index(drop=True)
    unranked = pd.DataFrame({ID: texts.ids, "text": texts.texts})[(fit.n_windows == 0) & texts.is_input]
    body = _body(settings, texts, judged, fit, halves, ratings, scale, reviewed)
    if checked is not None:
        body["check"] = {
            **settings.panel.describe(),
            "undecided": checked.undecided,
            "abstentions": checked.abstentions,
            "asking": checked.usage.as_dict(),
        }
    counts = {"published": len(database), "to_review": len(review), "unranked": len(unranked)}
    _warn(body)
    return Construction(
        plan=_plan_table(texts, judged.items, judged.prompt_order, judged.round_of),
        summary={**head, **counts, **body, **tail, "timings": timings.as_dict()},
        theory=theory,
        value=value,
        database=database,
        ratings=ratings,
        review=review,
        unranked=unranked.reset_index(drop=True),
        rankings=_rankings_table(judged),
    )


def _head(settings: ConstructionSettings, value: str, texts: Texts, n_windows: int, cost: Cost) -> dict[str, Any]:
    """Return what is known of a run before anything is asked."""
    return {
        "task": "construction",
        "theory": settings.theory.name,
        "value": value,
        "label": settings.theory.nodes[value].label,
        "dry_run": settings.dry_run,
        "rows": texts.n_rows,
        "texts": int(texts.is_input.sum()),
        "repeated": texts.n_repeated,
        "neutral": int(texts.is_neutral.sum()),
        "known": int((~np.isnan(texts.rating)).sum()),
        "known_only": int((~texts.is_input).sum()),
        "plan": {
            "windows": n_windows,
            "rankings": n_windows * settings.judge.rankings_per_window,
            "most_calls": cost.calls,
            "check_calls": _check_calls(settings, texts),
            "about_prompt_tokens": cost.prompt_tokens,
            "most_completion_tokens": cost.completion_tokens,
        },
        "judge": settings.judge.describe(),
        "settings": {
            **settings.model_dump(
                include={
                    *(
                        "k",
                        "m",
                        "random_rounds",
                        "prior_precision",
                        "flag_misfit",
                        "human_weight",
                        "agree_within",
                        "check",
                    ),
                    *("limit", "vidb", "license", "source", "push_to"),
                }
            ),
            "calibration": _named(settings.calibration),
            "reviewed": _named(settings.reviewed),
            "input": _named(settings.input),
        },
        "seed": settings.seed,
    }


def _check_calls(settings: ConstructionSettings, texts: Texts) -> int:
    return 0 if settings.panel is None else len(settings.panel.members) * int(texts.is_input.sum())


def _named(source: str | pd.DataFrame | None) -> str | None:
    return "a table" if isinstance(source, pd.DataFrame) else source


def _scale(texts: Texts, fit: ItemFit) -> Scale:
    ranked = fit.n_windows > 0
    neutral = fit.utility[texts.is_neutral & ranked]
    known = ranked & ~np.isnan(texts.rating)
    try:
        if known.any():
            return isotonic_scale(fit.utility[known], texts.rating[known], neutral)
        return symmetric_scale(fit.utility[ranked], neutral)
    except ValueError as error:
        raise InputError(f"the scale cannot be set: {error}") from error


def _ratings(
    settings: ConstructionSettings, texts: Texts, judged: Judged, fit: ItemFit, reviewed: Reviewed | None
) -> tuple[pd.DataFrame, Scale]:
    """Return all ranked texts with what is known of them, ascending by final rating, and the scale."""
    scale = _scale(texts, fit)
    ranked = fit.n_windows > 0
    error = np.where(ranked, fit.standard_error, 0.0)
    machine, rating_error = scale.rate(fit.utility, error)
    human = reviewed.rating if reviewed is not None else np.full(len(texts), np.nan)
    is_rated = ~np.isnan(human)
    weight = np.where(is_rated, settings.human_weight, 0.0)
    final = (1 - weight) * machine + weight * np.where(is_rated, human, 0.0)
    used = judged.judges_used
    slope = fit.discrimination[used] if used is not None else np.full(len(judged.rankings), fit.discrimination[0])
    misfit = outfit(judged.rankings, fit.utility, error, slope)
    disagrees = is_rated & (np.abs(machine - np.where(is_rated, human, 0.0)) > settings.agree_within)
    is_odd = ~is_rated & (misfit > settings.flag_misfit)
    reason = np.select(
        [~texts.is_input, disagrees, is_odd], ["calibration only", "people disagree", _FLAGGED], default=""
    )
    table = pd.DataFrame(
        {
            ID: texts.ids,
            "text": texts.texts,
            "final_rating": final,
            # What people add has no error of its own here.
            "standard_error": (1 - weight) * rating_error,
            "machine_rating": machine,
            HUMAN_RATING: human,
            "known_rating": texts.rating,
            "utility": fit.utility,
            "utility_error": fit.standard_error,
            "windows": fit.n_windows,
            "never_lost": fit.never_lost,
            "never_won": fit.never_won,
            "component": fit.component,
            "outfit": misfit,
            "odd_votes": 0,
            "is_input": texts.is_input,
            "is_neutral": texts.is_neutral,
            "published": reason == "",
            "left_out_as": reason,
        }
    )[ranked]
    return table.sort_values(["final_rating", "text"], kind="stable").reset_index(drop=True), scale


def _checked(settings: ConstructionSettings, value: str, ratings: pd.DataFrame) -> tuple[pd.DataFrame, Checked]:
    """Have the panel look at what would be published and no person has rated; what it finds odd is left out."""
    open_ = np.flatnonzero(ratings["published"] & ratings[HUMAN_RATING].isna())
    texts = ratings["text"].to_numpy(dtype=object)[open_]
    checked = check_ratings(
        settings.panel,
        settings.check,
        settings.theory,
        value,
        texts.tolist(),
        ratings["final_rating"].to_numpy(dtype=float)[open_],
        row_keys(pd.DataFrame({"text": texts}), settings.seed),
        cache=settings.cache,
        seed=settings.seed,
        progress=settings.progress,
    )
    odd = np.zeros(len(ratings), dtype=bool)
    odd[open_] = checked.is_odd
    votes = np.zeros(len(ratings), dtype=np.int64)
    votes[open_] = checked.odd_votes
    return ratings.assign(
        odd_votes=votes,
        published=ratings["published"] & ~odd,
        left_out_as=np.where(odd, _FOUND_ODD, ratings["left_out_as"]),
    ), checked


def _body(
    settings: ConstructionSettings,
    texts: Texts,
    judged: Judged,
    fit: ItemFit,
    halves: SplitHalf,
    ratings: pd.DataFrame,
    scale: Scale,
    reviewed: Reviewed | None,
) -> dict[str, Any]:
    """Return what is known of a run after judging."""
    ranked = fit.n_windows > 0
    by_error = ratings.sort_values(["standard_error", "text"], kind="stable")
    certain = by_error[["text", "final_rating", "standard_error"]].to_dict("records")
    known = ranked & ~np.isnan(texts.rating)
    failed = judged.failures != ""
    slopes = dict(zip(np.unique(judged.judges[judged.used]).tolist(), fit.discrimination.tolist(), strict=True))
    return {
        "flagged": int((ratings["left_out_as"] == _FLAGGED).sum()),
        "found_odd": int((ratings["left_out_as"] == _FOUND_ODD).sum()),
        "people_disagree": int((ratings["left_out_as"] == "people disagree").sum()),
        "reviewed": 0 if reviewed is None else int((~np.isnan(reviewed.rating)).sum()),
        "reviewed_unknown_ids": 0 if reviewed is None else reviewed.n_unknown,
        "reviewed_empty": 0 if reviewed is None else reviewed.n_empty,
        "windows": len(judged.items),
        "rankings": len(judged.orders),
        "rankings_failed": int(failed.sum()),
        "failures": dict(Counter(judged.failures[failed]).most_common()),
        "components": len(np.unique(fit.component[ranked])),
        "never_lost": int((fit.never_lost & ranked).sum()),
        "never_won": int((fit.never_won & ranked).sum()),
        "prior_precision": fit.prior_precision,
        "converged": fit.converged,
        "split_half": asdict(halves),
        "known_spearman": _spearman(fit.utility[known], texts.rating[known]),
        "scale": {
            "kind": "isotonic" if known.any() else "symmetric",
            "utilities": scale.utilities.tolist(),
            "intensities": scale.intensities.tolist(),
        },
        "judges": [
            {
                "name": name,
                "discrimination": slopes.get(number),
                "failed": int((failed & (judged.judges == number)).sum()),
                "most_common_order_of_places": judged.most_common_share(number),
                "left_out": bool(judged.stuck[number]),
            }
            for number, name in enumerate(judged.judge_names)
        ],
        "judging": summed_report(judged.reports),
        "most_certain": certain[:_NAMED_TEXTS],
        "least_certain": certain[::-1][:_NAMED_TEXTS],
    }


def _spearman(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float | None:
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(spearmanr(first, second).statistic)


def _warn(body: Mapping[str, Any]) -> None:
    if body["components"] > 1:
        _log.warning(
            "failed windows have left %d groups of texts that nothing compares; how these stand to each other is the "
            "prior's word",
            body["components"],
        )
    for judge in body["judges"]:
        if judge["left_out"]:
            _log.warning(
                "judge '%s' named the places of its prompt in the same order every time; it is left out", judge["name"]
            )
    if body["reviewed_unknown_ids"]:
        _log.warning("reviewed: %d rows have ids of no text of this run", body["reviewed_unknown_ids"])


def _plan_table(
    texts: Texts,
    items: npt.NDArray[np.intp],
    prompt_order: npt.NDArray[np.int64],
    round_of: npt.NDArray[np.intp],
) -> pd.DataFrame:
    columns = {f"{ID}_{number}": texts.ids[column] for number, column in enumerate(items.T, start=1)}
    shown = [json.dumps(order) for order in prompt_order.tolist()]
    numbers = {"window": np.arange(1, len(items) + 1), "round": round_of + 1}
    return pd.DataFrame({**numbers, **columns, "prompt_order": shown})


def _rankings_table(judged: Judged) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "window": judged.windows + 1,
            "judge": np.array(judged.judge_names, dtype=object)[judged.judges],
            "ranking": [json.dumps(order) if order[0] else "" for order in judged.orders.tolist()],
            "failure": judged.failures,
        }
    )
