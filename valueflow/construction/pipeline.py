"""Raw texts, a value and a judge in; a value intensity database, what people should look at and a summary out."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from valueflow.construction.checking import Checked
from valueflow.construction.display import plan_line, show_construction, show_constructions
from valueflow.construction.figures import judged_figures, planned_figures, ranking_counts, warn
from valueflow.construction.outcome import (
    ALL_FILE,
    PICTURE_FILE,
    PLAN_FILE,
    RANKINGS_FILE,
    REVIEW_FILE,
    UNRANKED_FILE,
    VIDB_FOLDER,
    Construction,
)
from valueflow.construction.ratings import FLAGGED, FOUND_ODD, checked_by_panel, rate
from valueflow.construction.reliability import split_half
from valueflow.construction.rounds import judge_batch, judge_rounds, planned_rounds, prompt_orders, window_keys
from valueflow.construction.settings import ConstructionSettings
from valueflow.construction.tables import plan_table, rankings_table
from valueflow.construction.texts import HUMAN_RATING, ID, read_reviewed, read_texts
from valueflow.judge import Criterion, Windows, cost_of
from valueflow.run import InputError, Run, Share, SweepView, Task, progress_bar, replacing, row_keys
from valueflow.vidb import load_vidb

_DATABASE_COLUMNS = ("text", "final_rating", "standard_error", "windows", "machine_rating", HUMAN_RATING, ID)
_REVIEW_COLUMNS = (ID, "text", "final_rating", "standard_error", "outfit", "odd_votes", HUMAN_RATING)

_log = logging.getLogger(__name__)


def build_vidb(*, output_dir: str | Path | None = None, **settings: Any) -> Construction:
    """Make calibrated anchors for a value out of raw texts.

    Parameters
    ----------
    output_dir
        Folder for the plan, the rankings, the database in `vidb`, the review file and `summary.json`; None writes
        nothing.
    **settings
        Fields of `ConstructionSettings`, the same as on the command line; what is not given has the default of
        `configs/build_vidb.yaml`. `theory` and `judge` take the name of an option or an object. `value` and `input`
        must be given.

    Returns
    -------
    Construction
        Its `database` is what `evaluate_responses(vidb=...)` reads from the folder `vidb`.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.

    Examples
    --------
    >>> built = build_vidb(theory="pvq", value="benevolence", input="texts.csv", output_dir="out")  # doctest: +SKIP
    >>> built.database["final_rating"]  # doctest: +SKIP
    """
    return TASK.call(settings, output_dir)


def _construct(settings: ConstructionSettings, run: Run) -> Construction:
    _check_division(settings, run.share)
    theory, value = settings.theory, settings.theory.resolve(settings.value)
    with run.stage("load"):
        texts = read_texts(settings.input, settings.input_columns, settings.limit, settings.calibration, run.bad_rows)
        if settings.k > len(texts):
            raise InputError(
                f"k={settings.k} texts in a window, but there are {len(texts)} different texts; set k lower"
            )
        reviewed = read_reviewed(settings.reviewed, texts) if settings.reviewed is not None else None
        criterion = Criterion(theory, value, load_vidb(settings.vidb, theory, bad_rows=run.bad_rows))
    with run.stage("plan"):
        keys = row_keys(pd.DataFrame({"text": texts.texts}), settings.seed)
        items, round_of = planned_rounds(keys, settings.k, settings.random_rounds)
        order = prompt_orders(keys, items, round_of)
        n_windows = len(items) + (settings.m - settings.random_rounds) * -(-len(texts) // settings.k)
        windows = Windows.among(theory.name, value, texts.texts, items, order)
        cost = cost_of(settings.judge, criterion, windows, n_windows)
    head = planned_figures(settings, value, texts, n_windows, cost)
    _log.info(plan_line(head))
    if settings.dry_run:
        plan = plan_table(texts, items, order, round_of)
        return Construction(plan=plan, summary=head, theory=theory, value=value)
    own = run.share.take(window_keys(keys, items, round_of))
    times = settings.judge.rankings_per_window
    title, steps = f"{theory.name}/{value}", "windows" if times == 1 else "rankings"
    with (
        run.stage("judge"),
        progress_bar(title, times * int(own.sum() + n_windows - len(own)), steps, enabled=settings.progress) as advance,
    ):
        if run.share.shard is not None:
            part = judge_batch(settings.judge, criterion, texts.texts, keys, items[own], round_of[own], advance)
            return Construction(
                plan=plan_table(texts, part.items, part.shown, part.round_of),
                rankings=rankings_table(part),
                summary={**head, **ranking_counts(part)},
                theory=theory,
                value=value,
            )
        judged, fit = judge_rounds(
            settings.judge,
            criterion,
            texts.texts,
            keys,
            k=settings.k,
            m=settings.m,
            random=settings.random_rounds,
            prior_precision=settings.prior_precision,
            progress=advance,
        )
    with run.stage("calibrate"):
        ratings, scale = rate(settings, texts, judged, fit, reviewed)
    checked: Checked | None = None
    if settings.panel is not None:
        with run.stage("check"):
            ratings, checked = checked_by_panel(settings.panel, settings, value, ratings)
    with run.stage("reliability"):
        halves = split_half(
            judged.rankings,
            len(texts),
            judges=judged.judges_used,
            windows=judged.windows[judged.used],
            prior_precision=fit.prior_precision,
            seed=settings.seed,
        )
    database = ratings.loc[ratings["published"], list(_DATABASE_COLUMNS)].reset_index(drop=True)
    if database.empty:
        raise InputError(
            f"none of {len(ratings)} texts can be published: all are flagged or people disagree; "
            "set flag_misfit or agree_within higher, or panel=none"
        )
    to_review = ratings["left_out_as"].isin((FLAGGED, FOUND_ODD))
    review = ratings.loc[to_review, list(_REVIEW_COLUMNS)].reset_index(drop=True)
    unranked = pd.DataFrame({ID: texts.ids, "text": texts.texts})[(fit.n_windows == 0) & texts.is_input]
    body = judged_figures(settings, texts, judged, fit, halves, ratings, scale, reviewed)
    if settings.panel is not None and checked is not None:
        body["check"] = {
            **settings.panel.describe(),
            "undecided": checked.undecided,
            "abstentions": checked.abstentions,
            "asking": checked.usage.as_dict(),
        }
    counts = {"published": len(database), "to_review": len(review), "unranked": len(unranked)}
    warn(body)
    return Construction(
        plan=plan_table(texts, judged.items, judged.shown, judged.round_of),
        summary={**head, **counts, **body},
        theory=theory,
        value=value,
        database=database,
        ratings=ratings,
        review=review,
        unranked=unranked.reset_index(drop=True),
        rankings=rankings_table(judged),
    )


def _check_division(settings: ConstructionSettings, share: Share) -> None:
    if settings.m > settings.random_rounds:
        share.refuse(
            "rounds after the random ones follow what all windows have told so far; give "
            f"random_rounds={settings.m}, as m is"
        )
    if settings.panel is not None:
        share.refuse("panel=... looks at ratings, which only all shards together have; give panel=none")


def _merge_databases(jobs: Mapping[Path, Mapping[str, Any]], others: Sequence[str], folder: Path) -> list[str]:
    """Bring the databases of a sweep together in one folder, where no value was built twice."""
    files = [file for job in jobs for file in sorted((job / VIDB_FOLDER).glob("*_flag_aggregated.csv"))]
    if not files:
        return []
    if len({file.name for file in files}) < len(files):
        return [f"a value appears in several jobs: the databases stay in their folders in {folder}"]
    for file in files:
        with replacing(folder / VIDB_FOLDER / file.name) as temporary:
            shutil.copyfile(file, temporary)
    return [f"all databases: {folder / VIDB_FOLDER}"]


TASK = Task(
    name="build_vidb",
    settings=ConstructionSettings,
    run=_construct,
    outputs=(PLAN_FILE, RANKINGS_FILE, ALL_FILE, REVIEW_FILE, UNRANKED_FILE, PICTURE_FILE, VIDB_FOLDER),
    sweep=(
        SweepView(
            show_constructions,
            ("theory", "value"),
            _merge_databases,
            files=(f"{VIDB_FOLDER}/*_flag_aggregated.csv",),
            one=show_construction,
        ),
    ),
    divides=True,
)
