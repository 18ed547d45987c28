"""`evaluate.py task=calibrate` and `calibration=FILE`: anchors as responses, what they tell, and who may use it."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import integrate, stats

from tests import command
from tests.command import succeeded, summary_in
from valueflow import evaluate_responses
from valueflow.evaluation import calibrate_judge
from valueflow.evaluation.judges import fit_judges
from valueflow.evaluation.misreading import STANDARD_DEVIATIONS, Misreadings, nearest_tried, try_misreadings
from valueflow.evaluation.windows import anchor_keys, build_windows
from valueflow.judge import Criterion, PanelJudge, RankedWindows, Windows
from valueflow.run import InputError, Progress, row_keys
from valueflow.vidb import Anchors, BucketSampling, FixedSampling, RandomSampling

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Sees:
    """A judge that sees each text at a place of its own: the number that the text ends with, and always the same error.

    Keeps the windows it was asked about.
    """

    rankings_per_window: ClassVar[int] = 1

    misreading: float = 0.0
    sign: float = 1.0
    name: str = "sees"
    asked: list[Windows] = field(default_factory=list)

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        self.asked.append(windows)
        texts = np.concatenate([windows.response_texts, windows.anchor_set.texts])
        place = {text: self.sign * (float(text.split()[-1]) + self._error(text)) for text in texts}
        seen = np.array([place[text] for text in texts])
        n = len(windows.response_texts)
        own = np.column_stack([seen[windows.responses], seen[n + windows.anchors]])
        noise = np.random.default_rng(len(windows)).gumbel(size=own.shape)
        return windows.ranked(np.argsort(-(own + noise), axis=1) + 1)

    def describe(self) -> dict[str, object]:
        return {"kind": self.name, "misreading": self.misreading}

    def _error(self, text: str) -> float:
        key = row_keys(pd.DataFrame({"text": [text]}), 5)
        return self.misreading * float(np.random.default_rng(key).standard_normal())


@pytest.fixture
def vidb(tmp_path: Path) -> Callable[..., str]:
    def write(n: int, **columns: Any) -> str:
        ratings = np.linspace(-9.5, 9.5, n)
        frame = pd.DataFrame(
            {"theory": "pvq", "value": "power", "text": [f"text of {rating:.3f}" for rating in ratings]}
        )
        path = tmp_path / f"anchors_{n}_{len(columns)}.csv"
        frame.assign(final_rating=ratings, **columns).to_csv(path, index=False)
        return str(path)

    return write


def anchors(n: int = 15) -> Anchors:
    return Anchors("pvq", "power", np.array([f"a {i}" for i in range(n)], dtype=object), np.linspace(-9, 9, n))


def drawn(sampling: Any, m: int = 3, seed: int = 42, n: int = 15) -> Windows:
    return windows_of(anchors(n), sampling, k=5, m=m, seed=seed)


def windows_of(known: Anchors, sampling: Any, k: int, m: int, seed: int) -> Windows:
    return build_windows(
        anchor_keys(known.texts, seed),
        known.texts.copy(),
        known,
        sampling,
        k=k,
        m=m,
        response_position="random",
        own=np.arange(len(known)),
    )


@pytest.mark.parametrize("sampling", [BucketSampling(), RandomSampling()])
def test_no_window_of_an_anchor_holds_it_and_each_is_drawn_as_a_response_among_the_others(sampling: Any) -> None:
    windows, known = drawn(sampling), anchors()
    assert sorted(np.bincount(windows.responses).tolist()) == [3] * 15
    for anchor in range(15):
        own = windows.responses == anchor
        assert anchor not in windows.anchors[own]
        rest = np.delete(np.arange(15), anchor)
        alone = build_windows(
            row_keys(pd.DataFrame({"text": known.texts[[anchor]]}), 42),
            known.texts[[anchor]],
            Anchors("pvq", "power", known.texts[rest], known.intensities[rest]),
            sampling,
            k=5,
            m=3,
            response_position="random",
        )
        np.testing.assert_array_equal(windows.anchors[own], rest[alone.anchors])
        np.testing.assert_array_equal(windows.prompt_order[own], alone.prompt_order)
    assert not windows.is_among


def test_more_windows_keep_the_first_ones_and_another_seed_changes_them() -> None:
    few, many, other = drawn(BucketSampling(), 2), drawn(BucketSampling(), 5), drawn(BucketSampling(), 2, seed=43)
    np.testing.assert_array_equal(few.anchors.reshape(15, 2, 4), many.anchors.reshape(15, 5, 4)[:, :2])
    assert (few.anchors != other.anchors).any()


def test_with_fixed_anchors_the_others_are_scored(vidb: Callable[..., str]) -> None:
    listed = [f"text of {rating:.3f}" for rating in np.linspace(-9.5, 9.5, 20)[[2, 9, 16]]]
    found = calibrate_judge(
        value="power", judge=Sees(), vidb=vidb(20), k=4, sampling=FixedSampling(listed), progress=False
    )
    assert len(found.scores) == found.calibration["anchors"] == 17
    assert found.summary["left_out"] == 3
    assert not found.scores["response"].isin(listed).any()
    assert found.rankings[["db_text_1", "db_text_2", "db_text_3"]].drop_duplicates().to_numpy().tolist() == [listed]
    assert found.calibration["sampling"] == {"method": "FixedSampling", "texts": listed}


@pytest.mark.parametrize("sampling", ["bucket", "random", "adaptive"])
def test_a_judge_is_never_shown_an_anchor_beside_itself(vidb: Callable[..., str], sampling: str) -> None:
    judge = Sees()
    found = calibrate_judge(value="power", judge=judge, vidb=vidb(20), k=4, sampling=sampling, progress=False)
    for asked in judge.asked:
        own = asked.response_texts[asked.responses]
        assert not (asked.anchor_set.texts[asked.anchors] == own[:, None]).any()
    assert {text for asked in judge.asked for text in asked.response_texts[asked.responses]} == set(
        found.scores["response"]
    )
    assert len(found.scores) == 20
    table = found.rankings
    beside = table[[column for column in table if column.startswith("db_text_")]]
    assert not beside.eq(table["target_text"], axis=0).to_numpy().any()


@pytest.mark.parametrize("misreading", [0.0, 3.0])
def test_the_misreading_of_a_judge_is_found(vidb: Callable[..., str], misreading: float) -> None:
    found = calibrate_judge(value="power", judge=Sees(misreading), vidb=vidb(200), m=5, progress=False)
    (judge,) = found.calibration["judges"]
    # The standard error of a standard deviation from 200 texts is a twentieth of it.
    assert abs(judge["misreading_sd"] - misreading) < 0.6
    assert judge["misreading_sd_low"] <= misreading <= judge["misreading_sd_high"]
    assert judge["coverage"]["low"] < 0.9 < judge["coverage"]["high"]
    assert (judge["coverage_without"]["share"] < 0.7) == (misreading > 0)
    figures = found.calibration["scores"]
    assert abs(figures["slope"] - 1) < 3 * figures["slope_se"]
    assert figures["slope_se"] < 0.1
    table = found.scores
    fitted = stats.linregress(table["power_score"], table["rating"])
    assert figures["slope"] == pytest.approx(fitted.slope)
    held = (table["power_low"] <= table["rating"]) & (table["rating"] <= table["power_high"])
    assert figures["coverage"]["held"] == held.sum()
    proportion = stats.binomtest(int(held.sum()), 200).proportion_ci(method="wilson")
    assert (figures["coverage"]["low"], figures["coverage"]["high"]) == pytest.approx((proportion.low, proportion.high))


def test_what_ratings_are_wrong_by_is_no_misreading(vidb: Callable[..., str]) -> None:
    plain, known = (
        calibrate_judge(value="power", judge=Sees(3.0), vidb=source, progress=False).calibration["judges"][0]
        for source in (vidb(60), vidb(60, standard_error=1.5))
    )
    assert known["ratings_error"] == pytest.approx(1.5)
    assert known["misreading_sd"] ** 2 == pytest.approx(plain["misreading_sd"] ** 2 - 1.5**2)


def tried(n: int = 12) -> tuple[Misreadings, RankedWindows, npt.NDArray[np.float64]]:
    known = Anchors("pvq", "power", np.array([f"a {x:.2f}" for x in np.linspace(-9, 9, n)]), np.linspace(-9, 9, n))
    windows = windows_of(known, BucketSampling(), k=4, m=2, seed=1)
    ranked = Sees(2.0).rank(None, windows, lambda done, failed, note="": None)  # type: ignore[arg-type]
    return try_misreadings(ranked, fit_judges(ranked)[0], known.intensities), ranked, known.intensities


def test_the_log_score_is_that_of_the_posterior_convolved_with_the_misreading() -> None:
    found, ranked, ratings = tried()
    fit = fit_judges(ranked)[0]
    place = int(nearest_tried(2.0))
    sd, beta = STANDARD_DEVIATIONS[place], fit.reliability.discrimination
    assert ranked.anchors is not None

    def seen_at(y: float, rows: npt.NDArray[np.intp]) -> float:
        product = 1.0
        for row in rows:
            utility = beta * np.concatenate([[y], fit.places[ranked.anchors[row]]])  # type: ignore[index]
            order = ranked.orders[row] - 1
            product *= np.prod([np.exp(utility[order[s]]) / np.exp(utility[order[s:]]).sum() for s in range(3)])
        return float(product)

    for anchor in (0, 5):
        rows = np.flatnonzero(ranked.responses == anchor)
        ys = np.linspace(-25, 25, 2001)
        likelihood = np.array([seen_at(y, rows) for y in ys])
        us = np.linspace(-10, 10, 801)
        convolved = stats.norm.pdf(ys, us[:, None], sd) @ likelihood * (ys[1] - ys[0])
        posterior = convolved * np.exp(-0.5e-3 * us**2)
        density = np.interp(ratings[anchor], us, posterior) / integrate.simpson(posterior, x=us)
        assert found.log_density[place, anchor] == pytest.approx(np.log(density), abs=0.02)


def test_each_text_is_tested_with_what_the_others_tell() -> None:
    found, _, ratings = tried()
    n = len(ratings)
    expected = [found.held[nearest_tried(found.most_likely(np.arange(n) != text)), text] for text in range(n)]
    np.testing.assert_array_equal(found.held_by_others(), expected)
    low, high = found.likely_range()
    assert low <= found.most_likely() <= high * np.sqrt(n / (n - 4))


def test_a_judge_that_orders_anchors_the_wrong_way_is_not_calibrated(vidb: Callable[..., str], tmp_path: Path) -> None:
    settings = {"value": "power", "judge": Sees(sign=-1.0), "vidb": vidb(20), "progress": False}
    found = calibrate_judge(output_dir=tmp_path / "out", **settings)
    assert found.calibration["judges"][0]["misreading_sd"] is None
    assert found.scores["power_score"].isna().all()
    assert not (tmp_path / "out" / "reliability.png").exists()
    with pytest.raises(
        InputError, match=r"holds no misreading sd: its judge is not shown to order the anchors \(z -\d"
    ):
        evaluate_responses(**settings, calibration=tmp_path / "out" / "calibration.json")
    anyway = calibrate_judge(**settings, judge_check=False)
    assert anyway.calibration["judges"][0]["misreading_sd"] > 5


def test_one_anchor_or_a_judge_that_ranks_nothing_is_no_calibration_and_no_fault(
    vidb: Callable[..., str], tmp_path: Path
) -> None:
    listed = [f"text of {rating:.3f}" for rating in np.linspace(-9.5, 9.5, 6)[:5]]
    alone = calibrate_judge(
        value="power", judge=Sees(), vidb=vidb(6), sampling=FixedSampling(listed), m=8, progress=False
    )
    assert alone.calibration["judges"][0]["coverage"]["of"] == 1
    assert np.isnan(alone.calibration["scores"]["slope"])

    class Silent(Sees):
        def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
            return windows.ranked(np.zeros((len(windows), windows.k), dtype=np.int64))

    settings = {"value": "power", "judge": Silent(), "vidb": vidb(12), "progress": False}
    silent = calibrate_judge(output_dir=tmp_path, **settings)
    assert silent.summary["failures"] == {"no permutation of the items": 36}
    assert silent.calibration["anchors"] == 0
    silent.show()
    with pytest.raises(InputError, match="holds no misreading sd"):
        evaluate_responses(**settings, calibration=tmp_path / "calibration.json")


@pytest.mark.slow
def test_each_judge_of_a_panel_has_its_own_misreading(vidb: Callable[..., str], tmp_path: Path) -> None:
    panel = PanelJudge((Sees(name="one"), Sees(4.0, name="two")))
    settings = {"value": "power", "judge": panel, "vidb": vidb(80), "progress": False}
    found = calibrate_judge(output_dir=tmp_path, **settings)
    one, two = found.calibration["judges"]
    assert one["misreading_sd"] < 1 < 3 < two["misreading_sd"] < 5
    frame = pd.DataFrame({"query": "q", "dataset": "d", "response": [f"r {i}" for i in range(-8, 9)]})
    used = evaluate_responses(frame, **settings, calibration=tmp_path / "calibration.json")
    sds = {judge["name"]: judge["text_misreading_sd"] for judge in used.summary["judges"]}
    assert sds == {judge["name"]: judge["misreading_sd"] for judge in (one, two)}


@pytest.fixture
def responses() -> pd.DataFrame:
    texts = [f"response of {place}" for place in np.linspace(-8, 8, 33)]
    return pd.DataFrame({"query": "q", "dataset": "d", "response": texts})


@pytest.mark.slow
def test_later_runs_use_the_calibration_whatever_their_number_of_windows(
    vidb: Callable[..., str], responses: pd.DataFrame, tmp_path: Path
) -> None:
    settings = {"value": "power", "judge": Sees(2.5), "vidb": vidb(60), "progress": False}
    file = tmp_path / "calibration.json"
    sd = calibrate_judge(output_dir=tmp_path, **settings).calibration["judges"][0]["misreading_sd"]
    own, used = (evaluate_responses(responses, **settings, m=8, calibration=given) for given in (None, file))
    assert own.summary["calibration"] is None
    assert used.summary["calibration"] == {"file": str(file), "misreading_sd": {"judge": sd}, "anchors": 60, "m": 3}
    assert used.summary["reliability"]["text_misreading_sd"] == sd
    # Nothing else of what is known of the judge changes.
    for key, figure in own.summary["reliability"].items():
        assert key == "text_misreading_sd" or used.summary["reliability"][key] == figure
    wider = json.loads(file.read_text(encoding="utf-8"))
    wider["judges"][0]["misreading_sd"] = 6.0
    file.write_text(json.dumps(wider), encoding="utf-8")
    wide = evaluate_responses(responses, **settings, m=8, calibration=file)
    widths = [(run.scores["power_high"] - run.scores["power_low"]).mean() for run in (used, wide)]
    assert widths[1] > 1.4 * widths[0]


DIFFERENT: Mapping[str, tuple[dict[str, Any], str]] = {
    "k": ({"k": 5}, "was made with k=6, this run has 5"),
    "sampling": ({"sampling": "random"}, "sampling.method=BucketSampling, this run has RandomSampling"),
    "position": ({"response_position": "first"}, "response_position=random, this run has first"),
    "judge": ({"judge": Sees(1.0)}, "judge.misreading=2.5, this run has 1.0"),
    "kind": ({"judge": Sees(2.5, name="other")}, "judge.kind=sees, this run has other"),
    "value": ({"value": "tradition", "vidb": "demo"}, "value=power, this run has tradition"),
    "estimator": ({"estimator": "window_guarded"}, "window_guarded knows no misreading"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_run_of_another_kind_is_refused_before_anything_is_judged(
    vidb: Callable[..., str], responses: pd.DataFrame, tmp_path: Path, name: str
) -> None:
    settings: dict[str, Any] = {"value": "power", "judge": Sees(2.5), "vidb": vidb(20), "progress": False}
    calibrate_judge(output_dir=tmp_path, **settings)
    given, message = DIFFERENT[name]
    settings |= given
    settings["judge"] = replace(settings["judge"], asked=[])
    with pytest.raises(InputError) as refusal:
        evaluate_responses(responses, **settings, calibration=tmp_path / "calibration.json")
    assert message in str(refusal.value)
    assert settings["judge"].asked == []


def test_other_anchors_are_refused(vidb: Callable[..., str], responses: pd.DataFrame, tmp_path: Path) -> None:
    settings = {"value": "power", "judge": Sees(), "progress": False}
    calibrate_judge(output_dir=tmp_path, vidb=vidb(20), **settings)
    with pytest.raises(InputError, match=r"made with vidb_sha256=\w{64}, this run has \w{64}"):
        evaluate_responses(responses, vidb=vidb(21), **settings, calibration=tmp_path / "calibration.json")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "is not JSON"),
        (lambda text: "[]", "is no calibration"),
        (lambda text: '{"format": "other"}', "is no calibration"),
        (lambda text: json.dumps(json.loads(text) | {"judges": [{"name": "judge"}]}), "'misreading_sd' is missing"),
        (lambda text: json.dumps(json.loads(text) | {"judges": 3}), "is damaged"),
        (lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "k"}), "'k' is missing"),
        (lambda text: text.replace('"misreading_sd": ', '"misreading_sd": -'), "is damaged"),
    ],
)
@pytest.mark.slow
def test_a_file_that_is_no_whole_calibration_is_refused(
    vidb: Callable[..., str], responses: pd.DataFrame, tmp_path: Path, damage: Callable[[str], str], message: str
) -> None:
    settings = {"value": "power", "judge": Sees(2.5), "vidb": vidb(20), "progress": False}
    calibrate_judge(output_dir=tmp_path, **settings)
    file = tmp_path / "calibration.json"
    file.write_text(damage(file.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        evaluate_responses(responses, **settings, calibration=file)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"intensity": 2}, "intensity: task=calibrate scores the anchors"),
        ({"responses": "mine.csv"}, "responses: task=calibrate scores the anchors"),
        ({"rankings": "rankings.csv"}, "rankings: task=calibrate scores the anchors"),
        ({"estimator": "window_guarded"}, "task=calibrate needs estimator=map"),
        ({"k": 30}, "20 anchors but task=calibrate with k=30 needs at least 30; set k to 20 or less"),
    ],
)
def test_settings_that_calibrate_nothing_are_refused(
    vidb: Callable[..., str], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as refusal:
        calibrate_judge(value="power", judge=Sees(), vidb=vidb(20), progress=False, **given)
    assert message in str(refusal.value)


def run(work: Path, *arguments: str) -> command.Finished:
    kept = {key: entry for key, entry in os.environ.items() if not key.startswith(("WANDB_", "HYDRA_"))}
    return command.run(ROOT / "evaluate.py", *arguments, folder=work, env=kept)


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A sweep of two values by the default judge, run twice: its folder, and what the second run printed."""
    work = tmp_path_factory.mktemp("calibrated")
    # Of two values alone: the judge embeds all anchors there are.
    anchors = pd.read_csv(ROOT / "valueflow" / "assets" / "anchors.csv")
    anchors[anchors["value"].isin(["benevolence", "universalism"])].to_csv(work / "anchors.csv", index=False)
    values = ("value=benevolence,universalism", "vidb=anchors.csv")
    sweep = (*values, "task=calibrate", "m=2", "hydra.sweep.dir=sweep", "-m")
    succeeded(run(work, *sweep))
    return work, succeeded(run(work, *sweep, "resume=true")).stdout


@pytest.mark.slow
def test_a_sweep_leaves_calibrations_and_shows_one_table(calibrated: tuple[Path, str]) -> None:
    work, shown = calibrated
    assert "2 of 2 jobs" in shown
    for job in (work / "sweep" / "0", work / "sweep" / "1"):
        files = {path.name for path in job.iterdir() if path.is_file()}
        tables = {"calibration.json", "scores.csv", "rankings.csv", "summary.json"}
        assert tables | {"reliability.png", "reliability.svg"} <= files
        summary, calibration = summary_in(job), json.loads((job / "calibration.json").read_text(encoding="utf-8"))
        assert summary["task"] == "calibrate"
        assert calibration["judges"] == summary["calibration"]["judges"]
        (judge,) = calibration["judges"]
        assert f"{judge['misreading_sd']:.1f}" in shown
        assert f"{calibration['scores']['slope']:.2f}" in shown
        assert f"{judge['reliability']['kendall_tau']:+.2f}" in shown
        assert len(pd.read_csv(job / "scores.csv")) == calibration["anchors"] == 24
    assert (work / "sweep" / "sweep.csv").exists()


@pytest.mark.slow
def test_finished_calibrations_are_kept_and_the_same_again(calibrated: tuple[Path, str]) -> None:
    work, _ = calibrated
    job = work / "sweep" / "0"
    succeeded(run(work, "value=benevolence", "vidb=anchors.csv", "task=calibrate", "m=2", "hydra.run.dir=again"))
    for name in ("calibration.json", "scores.csv", "rankings.csv", "reliability.png", "reliability.svg"):
        assert (work / "again" / name).read_bytes() == (job / name).read_bytes(), name
    # Resuming has not run the finished jobs again.
    assert "resume=true" not in (job / ".hydra" / "overrides.yaml").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_pooled_sweep_uses_the_calibration(calibrated: tuple[Path, str]) -> None:
    work, _ = calibrated
    file = work / "sweep" / "0" / "calibration.json"
    (judge,) = json.loads(file.read_text(encoding="utf-8"))["judges"]
    settings = ("value=benevolence", "intensity=-2,2", "vidb=anchors.csv", f"calibration={file}")
    shown = succeeded(run(work, *settings, "hydra.sweep.dir=used", "-m")).stdout
    assert f"texts are misread by {judge['misreading_sd']:.1f} points (sd)" in " ".join(shown.split())
    for job in ("0", "1"):
        summary = summary_in(work / "used" / job)
        assert summary["pooled_jobs"] == 2
        assert summary["reliability"]["text_misreading_sd"] == judge["misreading_sd"]


@pytest.mark.slow
def test_a_calibration_of_another_value_is_one_line(calibrated: tuple[Path, str], tmp_path: Path) -> None:
    file = calibrated[0] / "sweep" / "0" / "calibration.json"
    done = run(tmp_path, "value=universalism", f"calibration={file}", "m=2")
    command.refused(done, tmp_path, "made with value=benevolence, this run has universalism")
