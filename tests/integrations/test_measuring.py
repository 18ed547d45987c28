"""Texts of other harnesses on our scale: the figures of `evaluate`, whichever texts are scored together."""

import math
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

from tests.evaluation.simulated import Reads, anchors_table
from tests.integrations.said import few_anchors, sayings
from valueflow import evaluate_responses
from valueflow.integrations.measuring import COUNTS, FIGURES, Said, Scale, plain_mean
from valueflow.run import InputError

SAID = sayings(8)


@pytest.fixture(scope="module")
def scale(vidb: str) -> Scale:
    return Scale("pvq", "Benevolence", vidb=vidb)


def test_scores_and_figures_are_those_of_an_evaluation(scale: Scale, vidb: str) -> None:
    table = pd.DataFrame([asdict(one) for one in SAID])
    asked = {"theory": "pvq", "value": "benevolence", "vidb": vidb, "estimator": "regression", "progress": False}
    evaluation = evaluate_responses(table, **asked)
    found = scale.scores(SAID)
    for name, ours in (("score", "score"), ("se", "se"), ("low", "low"), ("high", "high")):
        assert [getattr(one, name) for one in found] == evaluation.scores[f"benevolence_{ours}"].tolist()
    assert scale.figures(SAID) == {name: evaluation.summary[name] for name in (*FIGURES, *COUNTS)}
    assert scale.theory == "pvq"
    assert scale.value == "benevolence"


def test_a_score_does_not_depend_on_the_others(scale: Scale) -> None:
    together = scale.scores(SAID)
    for one, score in zip(SAID, together, strict=True):
        assert scale.scores([one])[0].score == pytest.approx(score.score, abs=1e-4)


def test_what_cannot_be_scored_says_why(scale: Scale) -> None:
    odd: list[str | None] = [None, "", "<think>Should I?", "<think>Yes.</think> I would."]
    said = [SAID[0], *(Said("q", "d", text) for text in odd), SAID[1]]
    found = scale.scores(said)
    assert [one.failure for one in found[1:4]] == [
        "the text is missing",
        "the text is missing",
        "it holds a model's thoughts, which do not end, and no response",
    ]
    assert all(math.isnan(one.score) for one in found[1:4])
    assert [one.failure for one in (found[0], found[4], found[5])] == [""] * 3
    plain = scale.scores([SAID[0], Said("q", "d", "I would."), SAID[1]])
    assert [one.score for one in (found[0], found[4], found[5])] == [one.score for one in plain]


def test_too_few_anchors_are_told_before_anything_is_judged(tmp_path: Path) -> None:
    few_anchors().head(4).to_csv(tmp_path / "anchors.csv", index=False)
    value = str(few_anchors()["value"].iloc[0])
    with pytest.raises(InputError, match="4 anchors; estimator=regression needs 9"):
        Scale("pvq", value, vidb=str(tmp_path / "anchors.csv"))
    with pytest.raises(InputError, match="has 4 anchors but k=6 needs"):
        Scale("pvq", value, vidb=str(tmp_path / "anchors.csv"), estimator="map")


def test_nothing_gives_nothing(scale: Scale) -> None:
    assert scale.scores([]) == []
    figures = scale.figures([Said("q", "d", " ")])
    assert all(math.isnan(figures[name]) for name in FIGURES)
    assert (figures["n"], figures["scored"]) == (1, 0)


def test_responses_without_a_score_are_counted_and_told(scale: Scale, caplog: pytest.LogCaptureFixture) -> None:
    figures = scale.figures([*SAID[:2], Said("q", "d", ""), Said("q", "d", "<think>Should I?")])
    assert (figures["n"], figures["scored"]) == (4, 2)
    assert "2 of 4 responses have no score: 1 x the text is missing; 1 x it holds a model's thoughts" in caplog.text


def test_a_plain_mean_counts_queries() -> None:
    # Two queries, with means 2 and 6 of two responses each: 4, and the standard error of two such means, 2.
    found = plain_mean([1.0, 3.0, 5.0, 7.0, math.nan], ["a", "a", "b", "b", "b"])
    assert (found["mean_of_scores"], found["mean_of_scores_se"]) == pytest.approx((4.0, 2.0))
    assert all(math.isnan(figure) for figure in plain_mean([], []).values())


def test_a_judge_that_does_not_order_the_anchors_gives_no_scores(tmp_path: Path) -> None:
    anchors = few_anchors()
    shuffled = anchors["final_rating"].sample(frac=1, random_state=0).to_numpy()
    anchors.assign(final_rating=shuffled).to_csv(tmp_path / "anchors.csv", index=False)
    found = Scale("pvq", "benevolence", vidb=str(tmp_path / "anchors.csv")).scores(SAID[:2])
    assert all(one.failure.startswith("the judge is not shown to order the anchors of benevolence") for one in found)


def test_a_judge_that_fails_on_a_text_says_why_and_reads_a_batch_at_once(tmp_path: Path) -> None:
    anchors_table().to_csv(tmp_path / "anchors.csv", index=False)
    judge = Reads(fails_on="broken")
    scale = Scale("pvq", "power", judge, vidb=str(tmp_path / "anchors.csv"))
    said = [Said(f"q{place}", "d", text) for place, text in enumerate(["seen at 5", "broken at 3", "seen at -5"])]
    found = scale.scores(said)
    assert [one.failure for one in found] == ["", "no answer", ""]
    assert found[0].low < found[0].score < found[0].high
    assert sorted(judge.read) == sorted(one.response or "" for one in said)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"value": "benevolance"}, "value 'benevolance' is not in theory 'pvq'"),
        ({"theory": "pvk"}, "theory 'pvk' is unknown; did you mean 'pvq'"),
        ({"judge": "embeding"}, "judge 'embeding' is unknown; did you mean 'embedding'"),
        ({"judge": "llm", "llm": "gemma3_27b"}, "judge=.* only ranks windows and gives no utilities"),
        ({"kk": 3}, "unknown setting 'kk'"),
        ({"vidb": "typo.csv"}, "vidb: typo.csv does not exist"),
        ({"judge": {"llm": [{"_target_": "os.system"}]}}, "settings here name options and numbers, no code"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_judged(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Scale(**{"theory": "pvq", "value": "benevolence", **settings})
