"""Lines by group: against brute force, an independent mixed model, and the limits of shrinkage."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.statistics import fit_lines


def grouped(
    seed: int = 0, groups: int = 6, each: int = 10, copies: int = 0, spread: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Observations of groups whose lines differ; some texts stand in several groups, and in one group twice."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), each)
    x = rng.normal(3, 2, len(group))
    own = rng.normal(0, [1.5 * spread, 0.4 * spread], (groups, 2))
    y = 1 + own[group, 0] + (0.8 + own[group, 1]) * x + rng.normal(0, 1, len(group))
    text = np.arange(len(group))
    text[rng.choice(len(group), 2 * copies, replace=False)] = np.repeat(text[:copies], 2)
    return x, y, group, np.unique(text, return_inverse=True)[1]


def by_brute_force(
    x: np.ndarray, y: np.ndarray, group: np.ndarray, ratios: np.ndarray, keep: np.ndarray, scale: np.ndarray, own: int
) -> np.ndarray:
    """Intercept and slope of a group by generalized least squares with the whole covariance matrix.

    The groups' effects are those on x in the units of all observations, whichever of them are kept.
    """
    z = np.column_stack([np.ones(len(x)), (x - scale.mean()) / scale.std()])[keep]
    same = group[keep][:, None] == group[keep]
    precision = np.linalg.inv(np.eye(len(z)) + same * (z * ratios @ z.T))
    common = np.linalg.solve(z.T @ precision @ z, z.T @ precision @ y[keep])
    inside = group[keep] == own
    a, b = common + ratios * (z[inside].T @ (precision @ (y[keep] - z @ common))[inside])
    return np.array([a - b * scale.mean() / scale.std(), b / scale.std()])


@pytest.mark.parametrize("ratios", [(0.0, 0.0), (2.0, 0.1), (0.5, 5.0), (300.0, 300.0)])
def test_leaving_out_in_closed_form_is_fitting_again(ratios: tuple[float, float]) -> None:
    x, y, group, text = grouped(copies=5)
    assert np.bincount(text).max() >= 3
    given_ratios = np.array(ratios)
    lines = fit_lines(x, y, group, text, given_ratios)
    for own in (0, 3):
        line = lines.line(own)
        whole = by_brute_force(x, y, group, given_ratios, np.ones(len(x), bool), x, own)
        np.testing.assert_allclose([line.intercept, line.slope], whole, rtol=1e-8)
        for row in range(0, len(x), 7):
            expected = by_brute_force(x, y, group, given_ratios, text != text[row], x, own)
            np.testing.assert_allclose(line.without[row], expected, rtol=1e-6, atol=1e-8)
    for row in range(len(x)):
        a, b = by_brute_force(x, y, group, given_ratios, text != text[row], x, int(group[row]))
        assert lines.left_out[row] == pytest.approx(y[row] - a - b * x[row], rel=1e-6, abs=1e-8)


def test_the_ratios_are_expectations_under_the_restricted_likelihood() -> None:
    """Against an integral over a finer grid, with the likelihood of 28 contrasts written out."""
    x, y, group, text = grouped(seed=3, groups=5, each=6)
    z = np.column_stack([np.ones(30), (x - x.mean()) / x.std()])
    same = group[:, None] == group
    contrasts = np.linalg.svd(z)[0][:, 2:]
    seen = contrasts.T @ y
    logs = np.linspace(-13, 8, 43)
    sds = np.exp(logs / 2)
    density = np.empty((43, 43))
    for i, p in enumerate(np.exp(logs)):
        for j, q in enumerate(np.exp(logs)):
            covariance = contrasts.T @ (np.eye(30) + same * (z * [p, q] @ z.T)) @ contrasts
            squares = seen @ np.linalg.solve(covariance, seen)
            # The noise has the prior 1 / s^2 and is integrated out.
            density[i, j] = -0.5 * np.linalg.slogdet(covariance)[1] - 14 * np.log(squares)
    density = np.exp(density - density.max()) * np.outer(sds / (1 + sds**2), sds / (1 + sds**2))
    density /= density.sum()
    expected = np.array([density.sum(axis=1) @ sds, density.sum(axis=0) @ sds]) ** 2
    np.testing.assert_allclose(fit_lines(x, y, group, text).ratios, expected, rtol=0.02)


def test_of_many_groups_the_lines_are_those_of_an_independent_mixed_model() -> None:
    from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

    x, y, group, text = grouped(seed=3, groups=30, each=15)
    lines = fit_lines(x, y, group, text)
    frame = pd.DataFrame({"y": y, "x": (x - x.mean()) / x.std(), "group": group})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        free = MixedLMParams.from_components(fe_params=np.ones(2), cov_re=np.eye(2))
        model = MixedLM.from_formula("y ~ x", frame, groups="group", re_formula="~x")
        fitted = model.fit(reml=True, free=free)
    np.testing.assert_allclose(lines.ratios, np.diag(fitted.cov_re) / fitted.scale, rtol=0.2)
    assert lines.noise_sd**2 == pytest.approx(fitted.scale, rel=0.03)
    slope = fitted.fe_params["x"] + fitted.random_effects[4]["x"]
    assert lines.line(4).slope == pytest.approx(slope / x.std(), rel=0.02)


def test_one_group_has_the_line_of_least_squares_and_its_errors() -> None:
    x, y, _, text = grouped(groups=1, each=40)
    lines = fit_lines(x, y, np.zeros(40, dtype=np.int64), text)
    line = lines.line(0)
    (slope, intercept), covariance = np.polyfit(x, y, 1, cov=True)
    assert (line.intercept, line.slope) == pytest.approx((intercept, slope))
    np.testing.assert_allclose(line.covariance, covariance[::-1, ::-1], rtol=1e-6)
    np.testing.assert_array_equal(lines.ratios, [0, 0])


def test_groups_that_do_not_differ_share_one_line_and_those_that_do_have_their_own() -> None:
    x, y, group, text = grouped(spread=0.0, groups=32, each=12)
    alike = fit_lines(x, y, group, text)
    slopes = np.array([alike.line(g).slope for g in range(32)])
    own = np.array([np.polyfit(x[group == g], y[group == g], 1)[0] for g in range(32)])
    assert np.std(slopes) < 0.25 * np.std(own)
    assert slopes.mean() == pytest.approx(np.polyfit(x, y, 1)[0], abs=0.01)
    x, y, group, text = grouped(groups=5, each=400)
    differ = fit_lines(x, y, group, text)
    for own in range(5):
        slope = np.polyfit(x[group == own], y[group == own], 1)[0]
        assert differ.line(own).slope == pytest.approx(slope, abs=0.01)
    # One that has no observations has the line of all.
    strange = differ.line(99)
    assert strange.slope == pytest.approx(np.mean([differ.line(g).slope for g in range(5)]), abs=0.05)
    assert strange.covariance[1, 1] > 4 * differ.line(0).covariance[1, 1]


@given(st.integers(0, 10_000), st.floats(-100, 100), st.floats(0.01, 100), st.floats(-50, 50), st.floats(0.1, 10))
def test_units_do_not_matter(seed: int, shift: float, scale: float, lift: float, stretch: float) -> None:
    x, y, group, text = grouped(seed=seed, groups=4, each=5)
    ratios = np.array([1.0, 0.3])
    one = fit_lines(x, y, group, text, ratios)
    two = fit_lines(shift + scale * x, lift + stretch * y, group, text, ratios)
    np.testing.assert_allclose(two.left_out, stretch * one.left_out, atol=1e-6 * stretch)
    assert two.line(1).slope == pytest.approx(one.line(1).slope * stretch / scale, rel=1e-5, abs=1e-7 * stretch / scale)


def test_the_errors_of_a_groups_line_hold_it() -> None:
    """The covariance counts the common line and how far the group may lie from it; here with the true ratios."""
    far = []
    for seed in range(600):
        rng = np.random.default_rng(seed)
        group = np.repeat(np.arange(8), 10)
        x = rng.normal(0, 2, 80)
        own = rng.normal(0, [1.5, 0.4], (8, 2))
        y = own[group, 0] + (1 + own[group, 1]) * x + rng.normal(0, 1, 80)
        line = fit_lines(x, y, group, np.arange(80), np.array([1.5, 0.4 * x.std()]) ** 2).line(2)
        errors = np.array([line.intercept - own[2, 0], line.slope - 1 - own[2, 1]])
        far.append(errors @ np.linalg.solve(line.covariance, errors))
    # Chi-squared with two degrees of freedom.
    assert np.mean(np.array(far) < 5.99) == pytest.approx(0.95, abs=0.025)


def test_figures_that_are_all_equal_have_no_slope() -> None:
    lines = fit_lines(np.full(12, 0.3), np.arange(12.0), np.repeat([0, 1], 6), np.arange(12), np.array([1.0, 1.0]))
    assert lines.line(0).slope == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(ValueError, match="2 observations"):
        fit_lines(np.arange(2.0), np.arange(2.0), np.zeros(2, int), np.arange(2))
