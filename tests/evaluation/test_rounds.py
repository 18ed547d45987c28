"""Adaptive windows through `evaluate_responses`, with judges that count what they are asked."""

import json
import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from valueflow import evaluate_responses
from valueflow.evaluation import Evaluation
from valueflow.evaluation.display import show_evaluation
from valueflow.evaluation.interim import interim
from valueflow.evaluation.rounds import judge_in_rounds
from valueflow.evaluation.saving import equivalent_bucket_windows
from valueflow.evaluation.windows import build_windows
from valueflow.judge import Criterion, PanelJudge, Progress, RankedWindows, Windows
from valueflow.plackett_luce import simulate_rankings
from valueflow.responses import response_keys
from valueflow.run import InputError, Run, keyed_uniforms, write_json
from valueflow.theory import load_theory
from valueflow.vidb import AdaptiveSampling, Anchors, BucketSampling, load_vidb

RATINGS = np.linspace(-9.5, 9.5, 39)


@dataclass
class CountingJudge:
    """Ranks texts by the number at their end and by noise that depends on the window alone; fails where told to."""

    beta: float = 1.5
    fails_on: str = "nothing"
    name: str = "counting"
    batches: list[Windows] = field(default_factory=list)

    rankings_per_window: ClassVar[int] = 1

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        self.batches.append(windows)
        texts = np.column_stack([windows.response_texts[windows.responses], windows.anchor_set.texts[windows.anchors]])
        shown = np.array(["|".join([self.name, *row]) for row in texts.tolist()], dtype=object)
        keys = pd.util.hash_array(shown)
        numbers = np.array([[float(text.split()[-1]) for text in row] for row in texts.tolist()])
        noise = -np.log(-np.log(keyed_uniforms(keys, windows.k)))
        fails = np.array([self.fails_on in row[0] for row in texts.tolist()], dtype=bool)
        progress(len(windows), int(fails.sum()))
        orders = np.argsort(-(self.beta * numbers + noise), axis=1) + 1
        return windows.ranked(orders, np.where(fails, "does not answer", "").astype(object))

    def describe(self) -> dict[str, object]:
        return {"kind": self.name}


@pytest.fixture(scope="module")
def vidb(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("vidb") / "anchors.csv"
    rows = {"theory": "duty", "value": "fidelity", "text": [f"an anchor of {rating}" for rating in RATINGS]}
    pd.DataFrame(rows | {"final_rating": RATINGS}).to_csv(path, index=False)
    return str(path)


def frame(n: int) -> pd.DataFrame:
    truth = np.round(np.linspace(-9, 9, n), 2)
    return pd.DataFrame(
        {"query": "q", "dataset": "d", "response": [f"response {n} of {u}" for n, u in enumerate(truth)]}
    )


def evaluated(vidb: str, responses: pd.DataFrame, judge: Any, sampling: Any = None, **settings: Any) -> Evaluation:
    given = {"m": 12, "progress": False} | settings
    return evaluate_responses(
        responses,
        theory="duty",
        value="fidelity",
        vidb=vidb,
        judge=judge,
        sampling=sampling or AdaptiveSampling(),
        **given,
    )


def test_a_round_is_one_batch_with_one_window_of_each_response_that_goes_on(vidb: str) -> None:
    judge = CountingJudge()
    found = evaluated(vidb, frame(80), judge, AdaptiveSampling(target_se=0.6))
    adaptive = found.summary["adaptive"]
    assert len(judge.batches) == adaptive["rounds"] == found.scores["windows"].max()
    asked: Counter[int] = Counter()
    for number, batch in enumerate(judge.batches):
        assert len(set(batch.responses.tolist())) == len(batch)
        # Those of a round are those of the round before, less the ones that stopped: nobody comes back.
        assert number == 0 or set(batch.responses) <= set(judge.batches[number - 1].responses)
        assert all(len(set(row)) == 5 for row in batch.anchors.tolist())
        asked.update(batch.responses.tolist())
    assert [asked[row] for row in range(80)] == found.scores["windows"].tolist()
    assert found.scores["windows"].nunique() > 3
    counts = Counter(asked.values())
    assert adaptive["responses_by_windows"] == [counts[n] for n in range(1, adaptive["rounds"] + 1)]
    assert adaptive["windows_per_response"] == pytest.approx(found.scores["windows"].mean())
    assert adaptive["reached"] == 80
    assert adaptive["mean_sd"] < 0.6
    assert 0.2 < adaptive["saved"] < 0.8
    assert adaptive["saved"] == pytest.approx(1 - adaptive["windows_per_response"] / adaptive["bucket_windows"])
    truth = found.scores["response"].str.split().str[-1].astype(float)
    assert np.sqrt(np.mean((found.scores["fidelity_score"] - truth) ** 2)) < 0.8


def test_later_windows_are_about_where_the_response_stands(vidb: str) -> None:
    judge = CountingJudge()
    responses = frame(40)
    evaluated(vidb, responses, judge, AdaptiveSampling(target_se=0.5, min_gain=0.0))
    truth = responses["response"].str.split().str[-1].astype(float).to_numpy()
    distance = [
        np.abs(batch.anchor_set.intensities[batch.anchors] - truth[batch.responses][:, None]).mean()
        for batch in judge.batches
    ]
    assert distance[0] > 5
    assert distance[3] < 2


def test_the_first_round_is_bucket_s_first_window(vidb: str) -> None:
    adaptive, bucket = CountingJudge(), CountingJudge()
    evaluated(vidb, frame(10), adaptive)
    evaluated(vidb, frame(10), bucket, BucketSampling(), m=1)
    for name in ("responses", "anchors", "prompt_order"):
        np.testing.assert_array_equal(getattr(adaptive.batches[0], name), getattr(bucket.batches[0], name))


@pytest.mark.slow
def test_neither_order_of_rows_nor_another_run_changes_a_score(vidb: str) -> None:
    responses = frame(60)
    shuffled = responses.sample(frac=1, random_state=1)
    here, again, there = (evaluated(vidb, rows, CountingJudge()) for rows in (responses, responses, shuffled))
    pd.testing.assert_frame_equal(here.scores, again.scores)
    expected = here.scores.loc[shuffled.index].reset_index(drop=True)
    pd.testing.assert_frame_equal(there.scores.reset_index(drop=True), expected)
    for column in ("windows", "fidelity_score", "fidelity_low", "fidelity_high"):
        assert there.scores[column].tolist() == expected[column].tolist()
    assert there.summary["adaptive"] == here.summary["adaptive"]
    other = evaluated(vidb, responses, CountingJudge(), seed=7)
    assert other.scores["windows"].tolist() != here.scores["windows"].tolist()


@pytest.mark.parametrize(("least", "m", "target"), [(1, 9, 100.0), (4, 9, 100.0), (2, 5, 0.01), (7, 5, 100.0)])
def test_every_response_gets_between_the_least_and_the_most_windows(
    vidb: str, least: int, m: int, target: float
) -> None:
    judge = CountingJudge()
    sampling = AdaptiveSampling(target_se=target, min_windows=least, min_gain=0.0)
    found = evaluated(vidb, frame(12), judge, sampling, m=m)
    expected = min(least, m) if target > 1 else m
    assert found.scores["windows"].tolist() == [expected] * 12
    stopped = found.summary["adaptive"]["stopped_at_most"]
    assert stopped == (12 if target < 1 else 0)


def test_a_response_far_from_all_anchors_stops_where_windows_tell_no_more(tmp_path: Path) -> None:
    path = tmp_path / "gap.csv"
    ratings = [-9.5, -9, -8.5, -8, -7.5, 7.5, 8, 8.5, 9, 9.5]
    rows = {"theory": "duty", "value": "fidelity", "text": [f"an anchor of {rating}" for rating in ratings]}
    pd.DataFrame(rows | {"final_rating": ratings}).to_csv(path, index=False)
    responses = pd.DataFrame({"query": "q", "dataset": "d", "response": ["in the middle 0.0", "at the top 8.2"]})
    found = evaluated(str(path), responses, CountingJudge(), m=20)
    middle, top = found.scores["windows"]
    assert top < middle < 20
    assert found.summary["adaptive"]["stopped_at_most"] == 0
    everything = evaluated(str(path), responses, CountingJudge(), AdaptiveSampling(min_gain=0.0), m=20)
    assert everything.scores["windows"].tolist()[0] == 20


def test_a_judge_that_fails_ends_at_the_most_windows(
    vidb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = CountingJudge(fails_on="response 3 ")
    found = evaluated(vidb, frame(10), judge, m=6)
    assert found.scores["windows"][3] == found.scores["windows_failed"][3] == 6
    assert found.scores["windows_failed"].sum() == 6
    assert len(judge.batches) <= 6
    assert found.summary["failures"] == {"does not answer": 6}
    never = evaluated(vidb, frame(4), CountingJudge(fails_on="response"), m=3)
    assert never.scores["windows_failed"].tolist() == [3] * 4
    assert never.scores["fidelity_score"].isna().all()
    assert np.isnan(never.summary["adaptive"]["saved"])
    assert never.summary["without_query"] == 0
    # As a sweep reads it back, beside a run with an estimate.
    write_json(never.summary, tmp_path / "summary.json")
    read_back = json.loads((tmp_path / "summary.json").read_text())
    capsys.readouterr()
    show_evaluation([found.summary, read_back])
    shown = capsys.readouterr().out
    assert "per response, where bucket would need - for the same accuracy" in shown
    assert "have no query" not in shown


@pytest.mark.slow
def test_a_judge_that_never_errs_is_no_special_case(vidb: str) -> None:
    found = evaluated(vidb, frame(20), CountingJudge(beta=1e6), AdaptiveSampling(target_se=0.1), m=12)
    truth = found.scores["response"].str.split().str[-1].astype(float)
    assert np.abs(found.scores["fidelity_score"] - truth).max() < 0.6  # anchors are 0.5 apart
    assert found.summary["adaptive"]["windows_per_response"] < 10


def test_failed_windows_do_not_count_as_the_least(vidb: str) -> None:
    class FailsFirst(CountingJudge):
        def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
            self.fails_on = "response" if not self.batches else "nothing"
            return super().rank(criterion, windows, progress)

    found = evaluated(vidb, frame(5), FailsFirst(), AdaptiveSampling(target_se=100.0, min_windows=2))
    assert found.scores["windows"].tolist() == [3] * 5


@pytest.mark.slow
def test_a_panel_s_judges_all_rank_each_window(vidb: str) -> None:
    judges = CountingJudge(beta=0.8, name="one"), CountingJudge(beta=2.0, name="two", fails_on="response 1 ")
    found = evaluated(vidb, frame(20), PanelJudge(judges), AdaptiveSampling(target_se=0.5))
    assert len(judges[0].batches) == len(judges[1].batches) == found.summary["adaptive"]["rounds"]
    for first, second in zip(*(judge.batches for judge in judges), strict=True):
        np.testing.assert_array_equal(first.anchors, second.anchors)
    windows = sum(len(batch) for batch in judges[0].batches)
    assert found.rankings is not None
    assert len(found.rankings) == 2 * windows == found.scores["windows"].sum()
    assert found.summary["adaptive"]["windows_per_response"] == pytest.approx(windows / 20)
    assert found.scores["windows_failed"][1] == found.scores["windows"][1] / 2
    one = evaluated(vidb, frame(20), CountingJudge(beta=0.8, name="one"), AdaptiveSampling(target_se=0.5))
    assert found.summary["adaptive"]["windows_per_response"] < one.summary["adaptive"]["windows_per_response"]


def test_saved_rankings_score_as_they_did(vidb: str, tmp_path: Path) -> None:
    responses = frame(20)
    found = evaluated(vidb, responses, CountingJudge())
    assert found.rankings is not None
    found.rankings.to_csv(tmp_path / "rankings.csv", index=False)
    again = evaluate_responses(
        responses, theory="duty", value="fidelity", rankings=tmp_path / "rankings.csv", progress=False
    )
    columns = ["fidelity_score", "fidelity_low", "fidelity_high", "windows"]
    np.testing.assert_allclose(again.scores[columns], found.scores[columns], atol=1e-9)
    assert "adaptive" not in again.summary


@pytest.mark.parametrize(("k", "position"), [(2, "random"), (3, "first"), (12, "random")])
def test_windows_of_any_size(vidb: str, k: int, position: str) -> None:
    judge = CountingJudge()
    found = evaluated(vidb, frame(15), judge, k=k, response_position=position)
    assert found.scores["fidelity_score"].notna().all()
    if position == "first":
        assert all((batch.prompt_order[:, 0] == 1).all() for batch in judge.batches)


def test_too_few_anchors_and_too_few_windows_are_told(vidb: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InputError, match="has 39 anchors but k=41 needs at least 40"):
        evaluated(vidb, frame(3), CountingJudge(), k=41)
    with caplog.at_level(logging.WARNING):
        evaluated(vidb, frame(3), CountingJudge(), m=2)
    assert caplog.messages == [
        "sampling=adaptive gives a response at most m=2 windows, the first by buckets: raise m, as m=20"
    ]
    caplog.clear()
    evaluated(vidb, frame(3), CountingJudge(), m=3)
    assert caplog.messages == []


def test_progress_counts_responses_that_are_done(vidb: str) -> None:
    told: list[tuple[int, int, str]] = []
    responses, anchors = frame(30), load_vidb(vidb)
    windows, ranked, figures = judge_in_rounds(
        CountingJudge(fails_on="response 3 "),
        Criterion(load_theory("duty"), "fidelity", anchors),
        response_keys(responses, 42),
        responses["response"].to_numpy(dtype=object),
        anchors.anchors[0],
        AdaptiveSampling(target_se=0.7),
        k=6,
        m=9,
        response_position="random",
        run=Run(),
        progress=lambda done, failed, note="": told.append((done, failed, note)),
    )
    assert sum(done for done, _, _ in told) == 30
    assert sum(failed for _, failed, _ in told) == (~ranked.ranked).sum() == 9
    assert told[0] == (0, 1, "30 windows, round 1")
    assert told[-1][2] == f"{len(windows)} windows, round {figures.rounds}"
    # A round is told twice, as it is ranked and as its responses are found to be done; the end once more.
    assert len(told) == 2 * figures.rounds + 1


@pytest.mark.parametrize(("beta", "m", "k"), [(0.3, 4, 6), (1.0, 10, 6), (2.0, 5, 4)])
def test_the_windows_bucket_would_need_are_those_that_bucket_took(beta: float, m: int, k: int) -> None:
    """The estimate of what was saved, applied to bucket windows themselves."""
    rng = np.random.default_rng(int(10 * beta))
    anchors = Anchors("t", "v", np.arange(39).astype(str).astype(object), RATINGS)
    truth = rng.uniform(-9, 9, 1500)
    keys, texts = rng.integers(0, 2**63, 1500).astype(np.uint64), np.full(1500, "text", dtype=object)
    windows = build_windows(keys, texts, anchors, BucketSampling(), k=k, m=m, response_position="random")
    items = np.column_stack([truth[windows.responses], RATINGS[windows.anchors]])
    known = interim(windows.ranked(simulate_rankings(items, beta, rng)), np.arange(1500), anchors)
    assert known.discriminations[0] == pytest.approx(beta, rel=0.25)
    found = equivalent_bucket_windows(known, anchors, float(known.sd.mean()), k=k, rng=rng)
    assert found == pytest.approx(m, rel=0.12)
