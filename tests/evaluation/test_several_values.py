"""The end of a sweep over responses that were steered to two values: its picture, and its table on the screen."""

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from tests.comparison.simulated import write_job
from valueflow.evaluation.aims import add_arrows, arrows, several_values
from valueflow.evaluation.display import show_evaluation
from valueflow.run import read_record

AIMS = ([2, 2], [2, -1])


def sweep(folder: Path, *, unsteered: Sequence[str]) -> dict[Path, dict[str, Any]]:
    """Write jobs of two aims on two values, and of unsteered responses on some; return their summaries by folder."""
    for aim, intensities in enumerate(AIMS):
        more: dict[str, Any] = {"values": ["benevolence", "power"], "intensities": intensities}
        for place, value in enumerate(("benevolence", "power")):
            scores = [3.0 * intensities[place], 3.0 * intensities[place] + 1]
            write_job(folder / f"{aim}{value}", scores, "ab", value=value, steered_by="multi", **more)
    for value in unsteered:
        write_job(folder / f"plain-{value}", [0.0, 1.0], "ab", value=value, steered_by="none")
    return {job: read_record(job / "summary.json") or {} for job in sorted(folder.iterdir())}


def test_arrows_begin_at_unsteered_means_and_end_at_steered_ones(tmp_path: Path) -> None:
    jobs = sweep(tmp_path / "jobs", unsteered=["benevolence", "power"])
    table = arrows(several_values(list(jobs.values())))
    columns = ["asked_x", "asked_y", "from_x", "from_y", "to_x", "to_y"]
    assert sorted(table[columns].to_numpy().tolist()) == [[2, -1, 0.5, 0.5, 6.5, -2.5], [2, 2, 0.5, 0.5, 6.5, 6.5]]
    lines = add_arrows(jobs, [""] * len(jobs), tmp_path)
    assert lines == [f"picture: {tmp_path / 'two_values'}.{suffix}" for suffix in ("png", "svg")]
    assert (tmp_path / "two_values.png").read_bytes().startswith(b"\x89PNG")


def test_without_unsteered_means_it_is_said_that_points_have_no_arrow(tmp_path: Path) -> None:
    jobs = sweep(tmp_path / "jobs", unsteered=["power"])
    *_, line = add_arrows(jobs, [""] * len(jobs), tmp_path)
    assert line.startswith("points without an arrow: the sweep scores no unsteered responses")
    assert f"report.py {tmp_path} OTHER figures=paper" in line


def test_a_sweep_over_one_value_has_no_such_picture(tmp_path: Path) -> None:
    folder = write_job(tmp_path / "0", [1.0, 2.0], "ab", intensity=2)
    assert add_arrows({folder: read_record(folder / "summary.json") or {}}, [""], tmp_path) == []


def test_rows_on_the_screen_say_what_was_asked_for_on_each_value(tmp_path: Path) -> None:
    summaries = list(sweep(tmp_path / "jobs", unsteered=["power"]).values())
    complete = [summary | COMPLETE for summary in summaries]
    with redirect_stdout(io.StringIO()) as printed:
        show_evaluation(complete, "title", [""] * len(complete))
    rows = [line for line in printed.getvalue().splitlines() if "pvq/power" in line]
    assert ["benevolence+2 power+2" in line for line in rows] == [True, False, False]
    assert ["benevolence+2 power-1" in line for line in rows] == [False, True, False]
    assert " all " in rows[2]


COMPLETE = {
    "reliability": {
        "kendall_tau": 0.5,
        "order_z": 5.0,
        "passed": True,
        "anchors": 40,
        "order_z_over_anchors": 5.0,
        "lapse_rate": 0.0,
        "commonest_order_share": 0.1,
        "commonest_order": [1, 2, 3],
        "position_effect": 0.0,
        "position_effect_se": 0.1,
        "misreading_sd": 1.0,
        "discrimination": 1.0,
        "source": "anchors",
    },
    "timings": {"total": 1.5},
    "settings": {"estimator": "map", "judge_check": True, "k": 6, "m": 3},
    "failures": {},
    "misfit": 0,
    "far_from_anchors": 0,
    "without_query": 0,
    "not_converged": 0,
    "share_failed": 0.0,
    "beta": 1.0,
}


def test_two_judges_of_the_same_responses_have_an_arrow_each_from_their_own_unsteered_means(tmp_path: Path) -> None:
    jobs: dict[Path, dict[str, Any]] = {}
    for number, encoder in enumerate(("minilm", "mpnet")):
        scored = sweep(tmp_path / encoder, unsteered=["benevolence", "power"])
        judge = {"kind": "embedding", "encoder": encoder}
        jobs |= {
            folder: summary | {"judge": judge, "mean": summary["mean"] + number} for folder, summary in scored.items()
        }
    table = arrows(several_values(list(jobs.values())))
    ends = table.groupby("judge")[["from_x", "from_y", "to_x", "to_y"]].apply(lambda rows: sorted(rows.values.tolist()))
    assert ends["embedding minilm"] == [[0.5, 0.5, 6.5, -2.5], [0.5, 0.5, 6.5, 6.5]]
    assert ends["embedding mpnet"] == [[1.5, 1.5, 7.5, -1.5], [1.5, 1.5, 7.5, 7.5]]
    assert len(add_arrows(jobs, [""] * len(jobs), tmp_path)) == 2


def test_an_aim_scored_twice_in_the_same_way_is_named(tmp_path: Path) -> None:
    jobs = sweep(tmp_path / "first", unsteered=["benevolence", "power"])
    again = {
        folder: summary for folder, summary in sweep(tmp_path / "again", unsteered=[]).items() if "0" in folder.name
    }
    *files, line = add_arrows({**jobs, **again}, [""] * (len(jobs) + len(again)), tmp_path)
    assert len(files) == 2
    assert line.startswith("no arrow for benevolence+2 power+2: several jobs score these responses")


def test_an_aim_scored_twice_on_one_value_alone_has_no_arrow(tmp_path: Path) -> None:
    jobs = sweep(tmp_path / "first", unsteered=["benevolence", "power"])
    once = {folder: summary for folder, summary in jobs.items() if folder.name != "0power" and "1" not in folder.name}
    again = {folder.with_name("again"): summary for folder, summary in once.items() if folder.name == "0benevolence"}
    assert len(arrows(several_values(list({**once, **again}.values())))) == 0
    (line,) = add_arrows({**once, **again}, [""] * (len(once) + len(again)), tmp_path)
    assert line.startswith("no arrow for benevolence+2 power+2: several jobs score these responses")


def test_a_name_with_a_blank_is_one_value(tmp_path: Path) -> None:
    for value, score in (("self-direction", 4.0), ("power", -3.0)):
        aim = {"values": ["Self Direction", "power"], "intensities": [2, -1]}
        write_job(tmp_path / value, [score, score], "ab", value=value, steered_by="multi", **aim)
    summaries = [read_record(folder / "summary.json") or {} for folder in sorted(tmp_path.iterdir())]
    (arrow,) = arrows(several_values(summaries)).to_dict("records")
    assert (arrow["value_x"], arrow["to_x"], arrow["asked_x"]) == ("power", -3, -1)
    assert (arrow["value_y"], arrow["to_y"], arrow["asked_y"]) == ("self-direction", 4, 2)
