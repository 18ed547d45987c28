"""Distributions, gains and ceilings as a run gives them, against scipy and answers that a server decides."""

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from tests.llm.fault_server import Call, FaultServer, Reply, completion, first_token, refusal
from valueflow import steer
from valueflow.opinionqa import SurveyAnswers

LETTERS = "ABCDE"
GROUPS = ("CREGION_Harbour side", "CREGION_Hill side", "EDUCATION_Evening school/college")
SCALE, NO_ORDER = ["A lot", "Some", "Not at all", "Refused"], ["Bread", "Fish", "Rice"]


def survey(n: int = 12) -> list[dict[str, Any]]:
    """Questions 0 to n-1: each third one has options without order; each fourth one is asked of one group alone."""
    rng = np.random.default_rng(0)
    entries = []
    for number in range(n):
        options = NO_ORDER if number % 3 == 2 else SCALE
        for attribute in GROUPS[: 1 if number % 4 == 3 else 3]:
            gold = rng.dirichlet(np.ones(len(options)))
            entry = {"question": f"Number {number}?", "options": options, "attribute": attribute}
            more = {"ordinal": False} if options is NO_ORDER else {}
            entries.append(entry | {"gold_distribution": gold.tolist()} | more)
    return entries


def shares_of(call: Call) -> Mapping[str, float]:
    """Probabilities of letters that depend on the question, the group and whether a profile is shown."""
    letters = re.findall(r"^([A-Z])\. ", call.question, flags=re.MULTILINE)
    rng = np.random.default_rng(sum(map(ord, call.question)))
    return dict(zip(letters, (0.9 * rng.dirichlet(np.ones(len(letters)))).tolist(), strict=True))


def with_logprobs(call: Call) -> Reply:
    shares = shares_of(call)
    best = max(shares, key=shares.__getitem__)
    logprobs = {letter: math.log(share / 2) for letter, share in shares.items()}
    # Half of each letter's probability is spelled otherwise.
    logprobs |= {f" {letter.lower()}": math.log(share / 2) for letter, share in shares.items()}
    return completion(best, logprobs=first_token(logprobs | {"The": math.log(0.1)}, best))


def drawn(call: Call) -> Reply:
    """Answer as often as the shares say; no log-probabilities."""
    shares = shares_of(call)
    if call.body["temperature"] == 0:
        return completion(max(shares, key=shares.__getitem__))
    total = sum(shares.values())
    chosen = np.random.default_rng(call.body["seed"]).choice([*shares], p=[share / total for share in shares.values()])
    return completion(str(chosen))


def ask(server: FaultServer, tmp_path: Path, **settings: object) -> SurveyAnswers:
    questions = tmp_path / "questions.json"
    questions.write_text(json.dumps(survey()), encoding="utf-8")
    relevance = tmp_path / "relevance.csv"
    # Questions 10 and 11 are asked without a profile.
    names = [f"Number {number}?" for number in range(12)]
    pd.DataFrame({"question": names, "top_score": [1.0] * 10 + [0.0] * 2}).to_csv(relevance, index=False)
    given = {"questions": str(questions), "relevance": str(relevance), "threshold": 0.5} | settings
    named: dict[str, Any] = {"llm.base_url": server.url, "llm.model": "fault", "llm.max_retries": 0}
    named |= {f"opinionqa.{key}": value for key, value in given.items()}
    result = steer(preset="phi4", llm="openai", progress=False, **named)
    assert isinstance(result, SurveyAnswers)
    return result


def run(
    answer: Callable[[Call], Reply], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **settings: object
) -> tuple[SurveyAnswers, list[Call]]:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path / "cache"))
    with FaultServer(answer) as server:
        return ask(server, tmp_path, **settings), server.calls


def loads(details: pd.DataFrame, column: str) -> list[Any]:
    return [json.loads(cell) if cell else None for cell in details[column]]


def nearness(shares: list[float], gold: list[float], ordered: bool) -> tuple[float, float]:
    """Return alignment (NaN without order) and 1 - Jensen-Shannon distance, by scipy."""
    same = 1 - jensenshannon(shares, gold, base=2)
    if not ordered:
        return math.nan, same
    kept = shares[:3], gold[:3]  # without those who refused
    if not sum(kept[0]):
        return math.nan, same
    return 1 - wasserstein_distance(range(3), range(3), *kept) / 2, same


def check_figures(result: SurveyAnswers) -> None:
    """Recompute every figure of the details from the distributions in them, one answer at a time."""
    details = result.details
    options, golds = loads(details, "options"), loads(details, "gold_distribution")
    before, after = (loads(details, f"{name}_distribution") for name in ("default", "profile"))
    for row, asked in details.iterrows():
        ordered = options[row] == SCALE
        near = [nearness(one[row], golds[row], ordered) for one in (before, after)]
        for figures, name in zip(near, ("default", "profile"), strict=True):
            got = [asked[f"{name}_alignment"], 1 - asked[f"{name}_js_distance"]]
            assert got == pytest.approx(figures, abs=2e-3, nan_ok=True)  # shares in the table are rounded
        others = [
            other for other in details.index
            if details["question"][other] == asked["question"] and details["attribute"][other] != asked["attribute"]
        ]  # fmt: skip
        others = [other for other in others if details["group"][other] == asked["group"]] or others
        toward = [[nearness(one[row], golds[other], ordered) for one in (before, after)] for other in others]
        for place, ending in enumerate(("", "_js")):
            own = near[1][place] - near[0][place] if asked["profile_used"] else math.nan
            gains = [one[1][place] - one[0][place] for one in toward]
            other_gain = math.nan if math.isnan(own) or not gains else float(np.mean(gains))
            assert asked[f"own_gain{ending}"] == pytest.approx(own, abs=2e-3, nan_ok=True)
            assert asked[f"other_gain{ending}"] == pytest.approx(other_gain, abs=2e-3, nan_ok=True)
    overall = result.accuracy.iloc[-1]
    both = details.dropna(subset=["default_alignment", "profile_alignment"])
    assert overall["alignment_n"] == len(both)
    assert overall["alignment_difference"] == pytest.approx(
        both["profile_alignment"].mean() - both["default_alignment"].mean()
    )
    gained = details.dropna(subset=["own_gain", "other_gain"])
    assert overall["own_minus_other_n"] == len(gained)
    assert overall["own_minus_other"] == pytest.approx((gained["own_gain"] - gained["other_gain"]).mean())
    assert overall["own_minus_other_low"] < overall["own_minus_other"] < overall["own_minus_other_high"]


def test_distributions_come_from_all_spellings_of_the_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, calls = run(with_logprobs, tmp_path, monkeypatch)
    asked = {call.question: shares_of(call) for call in calls}
    assert all((call.body["logprobs"], call.body["top_logprobs"]) == (True, 20) for call in calls)
    details = result.details
    assert set(details["default_distribution_from"]) == set(details["profile_distribution_from"]) == {"logprobs"}
    assert details["default_letter_mass"].tolist() == pytest.approx([0.9] * len(details))
    known = {tuple(round(share / 0.9, 4) for share in shares.values()) for shares in asked.values()}
    for name in ("default", "profile"):
        for shares in loads(details, f"{name}_distribution"):
            assert tuple(round(share, 4) for share in shares) in known
            assert sum(shares) == pytest.approx(1, abs=1e-5)
    check_figures(result)
    counts = result.summary["counts"]
    assert counts["answers_to_questions_of_one_group"] == counts["without_gain_one_group"] + 1 == 3
    assert counts["without_gain_profile_not_used"] == 4
    assert counts["without_order"] == sum(entry["options"] == NO_ORDER for entry in survey())
    assert counts["gains"] == len(details) - 4 - 2
    # The third group is of another kind than the two others.
    assert counts["gains_against_groups_of_any_kind"] == (details["attribute"] == GROUPS[2]).sum() - 1
    blind = details.groupby("question")["most_frequent"].agg(lambda letters: letters.value_counts().max()).sum()
    assert result.accuracy.iloc[-1]["blind_accuracy"] == pytest.approx(blind / len(details))


def test_asked_again_nothing_is_asked_and_the_figures_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path / "cache"))
    with FaultServer(with_logprobs) as server:
        first, second = (ask(server, tmp_path) for _ in range(2))
        assert len(server.calls) == first.summary["asking"]["calls"]
    pd.testing.assert_frame_equal(first.details, second.details)
    pd.testing.assert_frame_equal(first.accuracy, second.accuracy)


@pytest.mark.slow
def test_samples_stand_in_where_there_are_no_log_probabilities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, calls = run(drawn, tmp_path, monkeypatch, samples=9)
    sampled = [call for call in calls if call.body["temperature"] == 1]
    different = {call.question for call in calls}
    assert (len(sampled), len(calls)) == (9 * len(different), 10 * len(different))
    assert not [call for call in sampled if "logprobs" in call.body]
    assert {call.body["seed"] for call in sampled} == set(range(43, 52))
    assert set(result.details["default_distribution_from"]) == {"samples"}
    said = pd.Series([json.loads(drawn(call).body)["choices"][0]["message"]["content"] for call in sampled])
    tallies = said.groupby([call.question for call in sampled]).value_counts(normalize=True)
    for row, shares in enumerate(loads(result.details, "default_distribution")):
        asked = f"{result.details['question'][row]}", result.details["attribute"][row].partition("_")[2]
        (prompt,) = [one for one in different if all(part in one for part in asked) and "care about" not in one]
        assert shares == pytest.approx([tallies[prompt].get(letter, 0) for letter in LETTERS[: len(shares)]], abs=1e-6)
    check_figures(result)
    assert result.summary["distributions"]["default"]["samples"] == len(result.details)


def test_without_either_the_choice_is_the_distribution_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result, calls = run(drawn, tmp_path, monkeypatch, logprobs=False)
    assert not [call for call in calls if "logprobs" in call.body]
    for row, shares in enumerate(loads(result.details, "profile_distribution")):
        assert LETTERS[shares.index(1)] == result.details["profile_option"][row]
    check_figures(result)
    n = len(result.details)
    wanted = {"logprobs": 0, "samples": 0, "chosen": n, "none": 0, "without_logprobs": n, "few_letters": 0}
    assert result.summary["distributions"] == {"default": wanted, "profile": wanted}
    result.show()
    assert f"{n} are the chosen option alone, all of it on one point" in " ".join(capsys.readouterr().out.split())


def test_what_is_not_about_letters_is_counted_and_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(call: Call) -> Reply:
        if "Number 0?" in call.question:
            return completion("B", logprobs=first_token({"B": math.log(0.1), "Well": math.log(0.8)}, "B"))
        if "Number 1?" in call.question:
            return refusal(500, "broken")
        if "Number 2?" in call.question:
            return completion("I do not know", logprobs=first_token({"I": -0.01, "A": math.log(0.001)}, "I"))
        if "Number 4?" in call.question and "care about" in call.question:
            return completion("A", reasoning_content="Hm.", logprobs=first_token({"A": -0.1}, "A"))
        return with_logprobs(call)

    result, _ = run(answer, tmp_path, monkeypatch)
    details = result.details.set_index("question")
    for number, default, profile in ((0, "chosen", "chosen"), (1, "none", "none"), (2, "none", "none"),
                                     (4, "logprobs", "chosen"), (5, "logprobs", "logprobs")):  # fmt: skip
        mine = details.loc[[f"Number {number}?"]]
        assert set(mine["default_distribution_from"]) == {default}
        assert set(mine["profile_distribution_from"]) == {profile}
    assert details.loc["Number 2?", ["own_gain_js", "default_js_distance"]].isna().all(axis=None)
    # A point and a distribution are each measured, but not compared.
    assert details.loc["Number 4?", ["default_alignment", "profile_alignment"]].notna().all(axis=None)
    assert details.loc["Number 4?", ["own_gain", "own_gain_js"]].isna().all(axis=None)
    summary = result.summary
    assert summary["counts"]["mixed_sources"] == 3
    assert summary["counts"]["without_js_distance"] == 6
    assert summary["distributions"]["default"]["few_letters"] == 6
    assert summary["distributions"]["profile"]["without_logprobs"] == 6
    assert summary["passes"]["default"]["failed"] == summary["passes"]["default"]["unparsable"] == 3
    result.show()
    said = " ".join(capsys.readouterr().out.split())
    assert "3 answers have distributions of two kinds in the two passes" in said
    assert "for 6 the letters held less than 20% of the probability" in said
    assert "for 6 the model gave no log-probabilities" in said
