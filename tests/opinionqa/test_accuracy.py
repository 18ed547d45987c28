"""Accuracy of two passes, each question put once: against statsmodels, and worked by hand; and the table of them."""

import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from tests.examples import examples
from valueflow.opinionqa.accuracy import Comparison, Measure, accuracy_table, compare
from valueflow.opinionqa.questions import load_questions
from valueflow.statistics import holm

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "opinionqa_sample.json"

Flags = npt.NDArray[np.bool_]


def table(both: int, only_default: int, only_profile: int, neither: int) -> tuple[Flags, Flags]:
    default = np.repeat([True, True, False, False], [both, only_default, only_profile, neither])
    profile = np.repeat([True, False, True, False], [both, only_default, only_profile, neither])
    order = np.random.default_rng(both + neither).permutation(len(default))
    return default[order], profile[order]


def check(got: Comparison, default: Flags, profile: Flags) -> None:
    """Compare with what statsmodels and scipy say of the same table."""
    n = len(default)
    pairs = list(zip(default.tolist(), profile.tolist(), strict=True))
    counts = np.array([[pairs.count((a, b)) for b in (True, False)] for a in (True, False)])
    assert counts.sum() == got.n == n
    assert (got.only_default, got.only_profile) == (counts[0, 1], counts[1, 0])
    for name, right in (("default", sum(default.tolist())), ("profile", sum(profile.tolist()))):
        low, high = proportion_confint(right, n, alpha=0.05, method="wilson")
        of_pass = {key: getattr(got, f"{name}_{key}") for key in ("accuracy", "low", "high")}
        assert of_pass == pytest.approx({"accuracy": right / n, "low": low, "high": high}, abs=1e-12)
        assert 0 <= of_pass["low"] <= of_pass["accuracy"] <= of_pass["high"] <= 1
    differences = [int(b) - int(a) for a, b in pairs]
    assert got.difference == pytest.approx(sum(differences) / n, abs=1e-12)
    if len(set(differences)) == 1:
        assert math.isnan(got.difference_low)
        assert math.isnan(got.difference_high)
    else:
        low, high = DescrStatsW(np.array(differences, dtype=float)).tconfint_mean(alpha=0.05)
        assert got.difference_low == pytest.approx(max(low, -1), abs=1e-9)
        assert got.difference_high == pytest.approx(min(high, 1), abs=1e-9)
        of_one_sample = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
        assert got.difference_low == pytest.approx(max(of_one_sample.low, -1), abs=1e-9)
        assert -1 <= got.difference_low <= got.difference <= got.difference_high <= 1
    # Where each question stands once, flipping questions is McNemar's test.
    assert got.questions == n
    assert got.permutation_p == pytest.approx(got.mcnemar_p, rel=1e-9)
    if counts[0, 1] + counts[1, 0]:
        assert got.mcnemar_p == pytest.approx(mcnemar(counts, exact=True).pvalue, rel=1e-9)
    else:
        assert got.mcnemar_p == 1


@settings(max_examples=examples(60))
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_figures_are_those_of_statsmodels(pairs: list[tuple[bool, bool]]) -> None:
    default, profile = np.array(pairs).T
    check(compare(default, profile), default, profile)


@pytest.mark.parametrize("n", [1, 2, 3, 30, 660, 5000])
@pytest.mark.parametrize("rates", [(0.5, 0.5), (0.3, 0.6), (0.98, 0.02), (0.01, 0.01)])
def test_figures_of_random_passes_are_those_of_statsmodels(n: int, rates: tuple[float, float]) -> None:
    draws = np.random.default_rng(n).random((2, n))
    default, profile = draws[0] < rates[0], draws[1] < rates[1]
    check(compare(default, profile), default, profile)


@pytest.mark.parametrize(
    "cells",
    [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (30, 0, 0, 0), (0, 0, 0, 30), (12, 0, 0, 18),
     (0, 9, 0, 0), (0, 0, 9, 0), (0, 5, 5, 0), (0, 1, 1, 0), (10, 1, 0, 10), (300, 0, 360, 0), (100, 200, 201, 159)],
)  # fmt: skip
def test_figures_of_extreme_tables_are_those_of_statsmodels(cells: tuple[int, int, int, int]) -> None:
    default, profile = table(*cells)
    check(compare(default, profile), default, profile)


def test_a_table_worked_by_hand() -> None:
    got = compare(*table(both=40, only_default=5, only_profile=15, neither=40))
    assert (got.n, got.only_default, got.only_profile) == (100, 5, 15)
    assert (got.default_accuracy, got.profile_accuracy) == (0.45, 0.55)
    assert (got.default_low, got.default_high) == pytest.approx((0.3561, 0.5476), abs=5e-5)
    assert (got.profile_low, got.profile_high) == pytest.approx((0.4524, 0.6439), abs=5e-5)
    # The differences: 15 of 1, 5 of -1, 80 of 0. Variance (20 - 100 * 0.1^2) / 99; t(99) = 1.98422.
    half = 1.98422 * math.sqrt(19 / 99 / 100)
    assert got.difference == pytest.approx(0.1)
    assert (got.difference_low, got.difference_high) == pytest.approx((0.1 - half, 0.1 + half), abs=1e-6)
    # Of 20 fair coins, at most 5 heads, or at most 5 tails.
    assert got.mcnemar_p == pytest.approx(2 * (1 + 20 + 190 + 1140 + 4845 + 15504) / 2**20, rel=1e-12)


def test_passes_that_never_differ_tell_of_no_difference() -> None:
    for cells in ((7, 0, 0, 3), (1, 0, 0, 0), (0, 0, 0, 4)):
        got = compare(*table(*cells))
        assert got.difference == 0
        assert math.isnan(got.difference_low)
        assert math.isnan(got.difference_high)
        assert got.mcnemar_p == 1


def test_one_question_tells_nothing_of_how_far_differences_vary() -> None:
    got = compare(np.array([False]), np.array([True]))
    assert (got.difference, got.mcnemar_p, got.only_profile) == (1, 1, 1)
    assert math.isnan(got.difference_low)
    assert math.isnan(got.difference_high)


@settings(max_examples=examples(30))
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_the_passes_traded_give_the_figures_traded(pairs: list[tuple[bool, bool]]) -> None:
    default, profile = np.array(pairs).T
    one, other = compare(default, profile), compare(profile, default)
    assert one.difference == pytest.approx(-other.difference)
    assert one.difference_low == pytest.approx(-other.difference_high, nan_ok=True)
    assert one.mcnemar_p == pytest.approx(other.mcnemar_p)
    assert (one.only_default, one.default_low, one.default_high) == (
        other.only_profile, other.profile_low, other.profile_high,
    )  # fmt: skip


# ---- Tables


@settings(max_examples=examples(25))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["x_1", "x_2", "y_$1,000", "z"]), st.booleans(), st.booleans(), st.sampled_from("abcdef")
        ),
        min_size=1,
        max_size=30,
    )
)
def test_each_row_compares_the_answers_of_its_name(rows: list[tuple[str, bool, bool, str]]) -> None:
    attributes, questions = [row[0] for row in rows], [row[3] for row in rows]
    groups = [attribute[0] for attribute in attributes]
    figures = np.where([row[1] for row in rows], np.arange(len(rows)) / 50, np.nan)
    got = accuracy_table(
        attributes, groups, questions, np.array([row[1] for row in rows]), np.array([row[2] for row in rows]),
        [Measure("figure", figures, "test", count="figure_n")],
    )  # fmt: skip
    wanted = [("attribute", name) for name in sorted(set(attributes))]
    wanted += [("group", name) for name in sorted(set(groups))]
    assert [*zip(got["level"], got["name"], strict=True)] == [*wanted, ("overall", "overall")]
    labels = {"attribute": attributes, "group": groups, "overall": ["overall"] * len(rows)}
    for record in got.to_dict("records"):
        level, name = record.pop("level"), record.pop("name")
        mine = [row for row, label in zip(rows, labels[level], strict=True) if label == name]
        default, profile = np.array([row[1] for row in mine]), np.array([row[2] for row in mine])
        codes = np.array([ord(row[3]) for row in mine])
        further = {key: record.pop(key) for key in list(record) if key.startswith("figure") or key.endswith("holm")}
        assert record == pytest.approx(asdict(compare(default, profile, codes)), nan_ok=True)
        known = np.array([label == name for label in labels[level]]) & ~np.isnan(figures)
        assert further["figure_n"] == known.sum()
        mean = figures[known].mean() if known.any() else math.nan
        assert further["figure"] == pytest.approx(mean, nan_ok=True)
    for test in ("permutation_p", "figure_p"):
        for _, level in got.groupby("level"):
            assert level[f"{test}_holm"].tolist() == pytest.approx(holm(level[test].to_numpy()).tolist(), nan_ok=True)


@pytest.mark.skipif(not REAL.is_file(), reason="the real survey is not on this machine")
def test_the_real_survey_has_a_row_for_each_attribute_each_group_and_overall() -> None:
    items = load_questions(str(REAL), None)
    draws = np.random.default_rng(0).random((2, len(items)))
    default, profile = draws[0] < 0.4, draws[1] < 0.6
    attributes, groups = [item.attribute for item in items], [item.group for item in items]
    got = accuracy_table(attributes, groups, [item.question for item in items], default, profile)
    assert got["level"].value_counts().to_dict() == {"attribute": 22, "group": 8, "overall": 1}
    names = ["education", "ideology", "income", "party", "race", "region", "religion", "sex"]
    assert got.loc[got["level"] == "group", "name"].tolist() == names
    assert (got.loc[got["level"] == "attribute", "n"] == 30).all()
    got["right"] = (got["n"] * got["profile_accuracy"]).round()
    for column in ("n", "only_default", "only_profile", "right"):
        sums = got.groupby("level")[column].sum()
        assert sums["attribute"] == sums["group"] == sums["overall"]
    # In an attribute each question stands once (but for one that one group has twice, with different options), over
    # all of them it does not.
    assert got.loc[got["level"] == "attribute", "mcnemar_p"].notna().sum() == 21
    overall = got.drop(columns=["level", "name", "right", "permutation_p_holm"]).iloc[-1]
    assert (overall["questions"], math.isnan(overall["mcnemar_p"])) == (len({item.question for item in items}), True)
    once = got.drop(columns=["level", "name", "right", "permutation_p_holm"]).iloc[0]
    mine = np.array([attribute == got["name"].iloc[0] for attribute in attributes])
    check(Comparison(**once.to_dict()), default[mine], profile[mine])
