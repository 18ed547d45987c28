"""Judges that may not score, and what a run says of its judges."""

import json
import os
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests import command
from tests.command import succeeded, summary_in
from valueflow.evaluation.display import judge_faults
from valueflow.evaluation.judges import Reliability, content_keys, fit_judges
from valueflow.evaluation.outcome import judge_check, query_clusters
from valueflow.evaluation.scoring import Scores, score_windows
from valueflow.judge import RankedWindows
from valueflow.plackett_luce import simulate_rankings

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {key: entry for key, entry in os.environ.items() if not key.startswith(("WANDB_", "HYDRA_"))}
RATINGS = np.round(np.linspace(-9.5, 9.5, 40), 2)


def simulated(
    n: int = 40, m: int = 3, k: int = 5, beta: float = 1.0, seed: int = 1, sign: float = 1.0, liking: float = 0.0
) -> RankedWindows:
    """Windows ranked by a judge that sees all texts where they are, or on the other side of 0, and likes a place."""
    rng = np.random.default_rng(seed)
    responses = np.repeat(np.arange(n), m)
    anchors = np.argsort(rng.random((n * m, len(RATINGS))), axis=1)[:, : k - 1]
    prompt_order = np.argsort(rng.random((n * m, k)), axis=1) + 1
    utilities = np.column_stack([rng.uniform(-8, 8, n)[responses], RATINGS[anchors]])
    first = np.arange(1, k + 1) == prompt_order[:, :1]
    orders = simulate_rankings(sign * beta * utilities + liking * first, 1.0, rng)
    windows = RankedWindows.of(responses, orders, RATINGS[anchors], np.full(n * m, "", dtype=object))
    return replace(windows, anchors=anchors, prompt_order=prompt_order)


def panel_of(*members: RankedWindows) -> RankedWindows:
    return RankedWindows.of_panel({f"judge {number}": member for number, member in enumerate(members)}, {})


def score(windows: RankedWindows, n: int = 40, **changes: Any) -> Scores:
    options = {"estimator": "map", "point": "mean", "solver": "newton", "max_iter": 50, "learning_rate": 0.1}
    return score_windows(windows, n, **(options | changes))


def named(reliability: Reliability, name: str = "the judge") -> dict[str, Any]:
    """What a summary says of a judge: NaN becomes null."""
    plain = json.loads(json.dumps(asdict(reliability)).replace("NaN", "null"))
    return {"name": name, **plain}


@pytest.mark.parametrize(("sign", "beta"), [(-1.0, 1.0), (1.0, 0.0)])
def test_a_judge_that_does_not_order_the_anchors_gives_no_scores(sign: float, beta: float) -> None:
    windows = simulated(beta=beta, sign=sign)
    scores = score(windows)
    for figures in (scores.score, scores.se, scores.low, scores.high, scores.outfit, scores.mean.influence):
        assert np.isnan(figures).all()
    assert np.isnan([scores.mean.mean, scores.mean.low, scores.mean.high, scores.mean.se]).all()
    assert not scores.not_converged.any()
    assert (scores.windows == 3).all()
    assert judge_check(scores) == {
        "passed": False,
        "z": scores.reliability.order_z,
        "scored": False,
        "judges_failed": [],
    }
    anyway = score(windows, judge_check=False)
    assert np.isfinite(anyway.score).all()
    assert (anyway.high - anyway.low).min() > 2
    # Nothing says where the mean is, and nothing pretends to.
    assert anyway.mean.high - anyway.mean.low > 5
    published = score(windows, estimator="window_guarded")
    assert np.isfinite(published.score).all()


def test_a_member_that_does_not_order_the_anchors_is_left_out_of_its_panel() -> None:
    good, bad = simulated(), simulated(beta=0.0, seed=1)
    together, alone = score(panel_of(good, bad)), score(good)
    np.testing.assert_allclose(together.score, alone.score, atol=1e-9)
    assert together.mean.mean == pytest.approx(alone.mean.mean, abs=1e-9)
    assert together.mean.anchors_se == pytest.approx(alone.mean.anchors_se)
    assert together.reliability.passed is True
    assert judge_check(together)["judges_failed"] == ["judge 1"]
    neither = score(panel_of(simulated(beta=0.0, seed=2), bad))
    assert neither.reliability.passed is False
    assert np.isnan(neither.score).all()


def test_a_response_has_the_error_of_the_judges_that_ranked_it() -> None:
    good, other = simulated(seed=3), simulated(seed=3, beta=0.6)
    lost = other.responses < 10
    other = replace(
        other,
        failures=np.where(lost, "no answer", other.failures),
        orders=np.where(lost[:, None], 0, other.orders),
    )
    panel = panel_of(good, other)
    fits = tuple(
        replace(fit, reliability=replace(fit.reliability, text_misreading_sd=sd))
        for fit, sd in zip(fit_judges(panel), (3.0, 1.0), strict=True)
    )
    without = tuple(replace(fit, reliability=replace(fit.reliability, text_misreading_sd=0.0)) for fit in fits)
    shared = score(panel, fits=fits).se ** 2 - score(panel, fits=without).se ** 2
    np.testing.assert_allclose(shared[:10], 9.0)
    np.testing.assert_allclose(shared[10:], (9 + 1) / 4)


def test_rankings_whose_anchors_have_no_numbers_score_alike() -> None:
    windows = simulated()
    failed = np.arange(len(windows)) % 5 == 0
    windows = replace(
        windows,
        failures=np.where(failed, "no answer", windows.failures),
        orders=np.where(failed[:, None], 0, windows.orders),
    )
    np.testing.assert_allclose(score(replace(windows, anchors=None)).score, score(windows).score, atol=1e-9)


def test_judges_are_learned_from_windows_with_an_order_to_learn() -> None:
    """Where nearly all windows hold anchors of one rating, the few others are not lost in the sample."""
    informative = simulated(n=30)
    tied = simulated(n=2200, seed=5)
    tied = replace(tied, intensities=np.full_like(tied.intensities, 5.0), anchors=tied.anchors + 40)
    joined = {
        name: np.concatenate([getattr(informative, name), getattr(tied, name)])
        for name in ("responses", "orders", "intensities", "failures", "windows", "judges", "anchors", "prompt_order")
    }
    fit = fit_judges(replace(informative, **joined))[0]
    assert fit.reliability.source == "estimated"
    assert fit.reliability.order_z > 5


def test_keys_of_content_depend_on_nothing_else() -> None:
    windows = simulated()
    rows = np.random.default_rng(0).permutation(len(windows))
    np.testing.assert_array_equal(content_keys(windows)[rows], content_keys(windows[rows]))
    assert len(set(content_keys(windows).tolist())) == len(windows)


def test_places_of_a_prompt_are_told_from_the_anchors() -> None:
    found = fit_judges(simulated(n=200, liking=1.5))[0].reliability
    assert found.position_effect == pytest.approx(1.5, abs=3 * found.position_effect_se)
    assert sum(found.first_places) == pytest.approx(1.0)
    assert found.first_places[0] == max(found.first_places)
    unknown = fit_judges(replace(simulated(n=200), prompt_order=None))[0].reliability
    assert np.isnan([unknown.position_effect, unknown.position_effect_se, unknown.commonest_order_share]).all()
    assert (unknown.first_places, unknown.commonest_order) == ((), ())


def test_standard_errors_of_ratings_are_no_misreading_of_texts() -> None:
    windows = simulated(n=200, beta=1.5)
    places = RATINGS + 2.0 * np.random.default_rng(0).standard_normal(40)
    rng = np.random.default_rng(1)
    utilities = np.column_stack([rng.uniform(-8, 8, 200)[windows.responses], places[windows.anchors]])
    windows = replace(windows, orders=simulate_rankings(utilities, 1.5, rng))
    plain = fit_judges(windows)[0].reliability
    assert plain.text_misreading_sd == plain.misreading_sd
    errors = np.where(windows.anchors % 2, 1.5, np.nan)
    known = fit_judges(replace(windows, errors=errors))[0].reliability
    assert known.misreading_sd == pytest.approx(plain.misreading_sd)
    assert known.text_misreading_sd == pytest.approx(np.sqrt(plain.misreading_sd**2 - 1.5**2))
    large = fit_judges(replace(windows, errors=np.full(windows.anchors.shape, 9.0)))[0].reliability
    assert large.text_misreading_sd == 0.0


# ---- Words


def test_a_sound_judge_is_not_talked_about() -> None:
    assert judge_faults(named(fit_judges(simulated(n=100))[0].reliability)) == []


def test_what_is_wrong_is_said_in_a_line_each() -> None:
    reversed_judge = named(fit_judges(simulated(sign=-1))[0].reliability)
    line = judge_faults(reversed_judge)[0]
    assert line.startswith("the judge orders the anchors the wrong way round: tau -0.")
    assert line.endswith("; no scores from it")
    assert judge_faults(reversed_judge, left_out=False)[0].endswith("; its scores mean nothing")
    dull = named(fit_judges(simulated(beta=0.0))[0].reliability, "llm phi")
    assert judge_faults(dull)[0] == (
        f"llm phi is not shown to order the anchors: tau {dull['kendall_tau']:+.2f}, z {dull['order_z']:.1f}; "
        "no scores from it (judge_check=false scores anyway)"
    )
    assert judge_faults(dull, left_out=False)[0].endswith("; its scores mean little")
    (line,) = judge_faults(named(fit_judges(simulated(k=2))[0].reliability))
    assert line == "the judge was not tested: no window holds two anchors of different intensity; beta = 1 is assumed"
    liking = named(fit_judges(simulated(n=200, liking=1.5))[0].reliability)
    (line,) = judge_faults(liking)
    assert line.startswith(f"the judge likes the item shown first: {liking['position_effect']:+.2f} logits, z ")
    lapsing = {**named(fit_judges(simulated(n=100))[0].reliability), "lapse_rate": 0.104}
    assert judge_faults(lapsing) == ["the judge ranks about 10% of its windows at random; these count for little"]
    (line,) = judge_faults({**liking, "position_effect": -1.0})
    assert line.startswith("the judge dislikes the item shown first: -1.00 logits")


def test_a_judge_that_always_answers_in_one_order_is_named() -> None:
    windows = simulated(n=100)
    last_first = np.roll(windows.prompt_order, 1, axis=1)
    found = named(fit_judges(replace(windows, orders=last_first))[0].reliability)
    assert found["commonest_order"] == [5, 1, 2, 3, 4]
    assert found["first_places"] == [0, 0, 0, 0, 1]
    assert "the judge answers the same order of the places in its prompt (5, 1, 2, 3, 4) in 100% of windows" in (
        judge_faults(found)
    )


def test_a_judge_that_ranked_nothing_is_not_said_to_lack_anchors() -> None:
    windows = simulated(n=5)
    failed = replace(windows, orders=windows.orders * 0, failures=np.full(15, "no answer", dtype=object))
    assert judge_faults(named(fit_judges(failed)[0].reliability)) == ["the judge ranked no window"]


# ---- Queries


def test_responses_to_one_query_are_a_cluster_and_blank_queries_are_their_own() -> None:
    frame = pd.DataFrame({"query": ["a", " a ", "", "b", None, "  ", "a"]})
    clusters = query_clusters(frame)
    assert clusters[0] == clusters[1] == clusters[6]
    assert len(set(clusters.tolist())) == 5


def test_a_response_without_a_score_is_not_called_odd() -> None:
    windows = simulated(n=300)
    rng = np.random.default_rng(3)
    # Texts at one place in one window and at another in the next.
    orders = np.where((np.arange(len(windows)) % 3 == 0)[:, None], windows.orders[:, ::-1], windows.orders)
    contradictory = replace(windows, orders=orders[rng.permutation(len(orders))])
    settings = {"judge_check": False}
    assert score(contradictory, 300, **settings).misfit.any()
    stopped = score(contradictory, 300, solver="ascent", max_iter=1, **settings)
    assert np.isnan(stopped.score).all()
    assert not stopped.misfit.any()


def test_the_method_page_describes_all_figures_of_a_judge() -> None:
    page = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    assert [field.name for field in fields(Reliability) if f"`{field.name}`" not in page] == []


# ---- A sweep


def table_of(windows: RankedWindows) -> pd.DataFrame:
    columns: dict[str, Any] = {
        "row_idx": windows.responses,
        "target_text": [f"response {row}" for row in windows.responses],
        "ranking": [json.dumps(order) for order in windows.orders.tolist()],
        "prompt_order": [json.dumps(order) for order in windows.prompt_order.tolist()],
    }
    for column, anchors in enumerate(windows.anchors.T, start=1):
        columns[f"db_text_{column}"] = [f"anchor {anchor}" for anchor in anchors]
        columns[f"db_score_{column}"] = RATINGS[anchors]
    return pd.DataFrame(columns)


def evaluate(folder: Path, *arguments: str) -> command.Finished:
    return command.run(ROOT / "evaluate.py", "value=power", *arguments, folder=folder, env=ENVIRONMENT)


def test_a_run_with_a_judge_at_random_ends_well_and_says_why_there_are_no_scores(tmp_path: Path) -> None:
    windows = simulated(beta=0.0)
    table_of(windows).to_csv(tmp_path / "rankings.csv", index=False)
    shown = succeeded(evaluate(tmp_path, "rankings=rankings.csv", "hydra.run.dir=checked")).stdout
    summary, scores = summary_in(tmp_path / "checked"), pd.read_csv(tmp_path / "checked" / "scores.csv")
    assert sum("is not shown to order the anchors: tau " in line for line in shown.splitlines()) == 1
    assert "0 of 40" in shown
    assert "have no query" not in shown  # there is no mean
    assert (summary["n"], summary["scored"], summary["mean"], summary["mean_low"]) == (40, 0, None, None)
    assert summary["judge_check"] | {"z": None} == {"passed": False, "z": None, "scored": False, "judges_failed": []}
    assert scores["power_score"].isna().all()
    shown = succeeded(
        evaluate(tmp_path, "rankings=rankings.csv", "judge_check=false", "hydra.run.dir=unchecked")
    ).stdout
    summary = summary_in(tmp_path / "unchecked")
    assert summary["scored"] == 40
    assert "its scores mean little" in shown
    assert "no scores from it" not in shown
    assert (summary["without_query"], summary["clusters"]) == (40, 40)
    assert "the responses have no query: in the interval of the mean each counts as a query of its own" in shown


@pytest.mark.slow
def test_in_a_sweep_the_same_rankings_count_once_and_a_failed_judge_is_marked(tmp_path: Path) -> None:
    table_of(simulated()).to_csv(tmp_path / "good.csv", index=False)
    table_of(simulated(beta=0.0)).to_csv(tmp_path / "bad.csv", index=False)
    twice = succeeded(evaluate(tmp_path, "rankings=good.csv", "point=mean,mode", "hydra.sweep.dir=twice", "-m"))
    alone = fit_judges(simulated())[0].reliability
    for job in range(2):
        found = summary_in(tmp_path / "twice" / str(job))["reliability"]
        assert found["order_z"] == pytest.approx(alone.order_z)
        assert found["discrimination_se"] == pytest.approx(alone.discrimination_se, rel=1e-3)
    assert "does not order" not in twice.stdout
    assert "the responses of 2 of 2 runs have no query" in twice.stdout
    bad = succeeded(evaluate(tmp_path, "rankings=bad.csv", "point=mean,mode", "hydra.sweep.dir=bad", "-m"))
    lines = [line for line in bad.stdout.splitlines() if "is not shown to order the anchors" in line]
    assert len(lines) == 1  # one for both jobs, named before it
    assert lines[0].startswith("power point=mean, power point=mode: the judge ")
    assert [summary_in(tmp_path / "bad" / str(job))["judge_check"]["passed"] for job in range(2)] == [False, False]
