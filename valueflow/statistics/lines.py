"""Lines of one quantity in another, one line a group, each as much the group's own as its observations can tell.

The model, for observation i of group g:

    y_i = (a + a_g) + (b + b_g) x_i + e_i,    a_g ~ N(0, p s^2),  b_g ~ N(0, q s^2),  e_i ~ N(0, s^2)

with x in standard deviations about its mean. A group with many observations gets its own line, one with few gets that
of all groups; the ratios p and q say what is many. Everything is done with sums over groups, so time and memory are
linear in the number of observations.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

FEWEST = 3
"""Observations below which no line is fitted."""

_RATIOS = np.exp(np.linspace(-12.0, 7.0, 20))
"""Ratios that are tried; beyond the ends there is next to one line, or one for each group."""

_SMALLEST = 1e-300


@dataclass(frozen=True, eq=False)
class Line:
    """The line of a group.

    Attributes
    ----------
    intercept, slope
        Of y in x.
    covariance
        (2, 2) of the errors of both, given the ratios of variances.
    without
        (N, 2) what both would be without each observation's text.
    """

    intercept: float
    slope: float
    covariance: Floats
    without: Floats

    def at(self, x: Floats) -> Floats:
        """Return the expected y."""
        return np.asarray(self.intercept + self.slope * x)


class Lines:
    """Lines fitted to N observations.

    Attributes
    ----------
    ratios
        (2,) variances of the groups' intercepts and slopes, p and q, in variances of the noise.
    noise_sd
        Standard deviation s of the noise.
    left_out
        (N,) what each y exceeds the line by that is fitted without it, and without every other observation of its
        text.
    """

    def __init__(self, x: Floats, y: Floats, group: Integers, text: Integers, ratios: Floats | None) -> None:
        self._group, self._text = group, text
        self._center, self._scale = float(x.mean()), float(x.std()) if np.ptp(x) else 1.0
        self._z = np.column_stack([np.ones(len(x)), (x - self._center) / self._scale])
        self.ratios = _expected_ratios(self._z, y, group) if ratios is None else ratios
        sums = _Sums.of(self._z, y, group)
        solved = _Solved.of(sums, self.ratios)
        self._shrink, self._inverse, self._common = solved.shrink, solved.inverse, solved.common
        # Rows of V^-1 X, and V^-1 (y - X common), where V s^2 is the covariance of the observations.
        self._weighted = np.einsum("nij,nj->ni", self._shrink[group], self._z)
        self._own = np.einsum(
            "gij,gj->gi", self._shrink, sums.products - np.einsum("gij,j->gi", sums.squares, self._common)
        )
        alpha = y - self._z @ self._common - np.einsum("ni,i,ni->n", self._z, self.ratios, self._own[group])
        self.noise_sd = float(np.sqrt(max(float((y - self._z @ self._common) @ alpha), 0.0) / (len(x) - 2)))
        self.left_out = self._without_texts(alpha)

    def line(self, group: int) -> Line:
        """Return the line of a group; that of all groups where it has no observations (any number they do not have)."""
        n_groups = len(self._shrink)
        is_known = 0 <= group < n_groups
        shrink = self._shrink[group] if is_known else np.eye(2)
        common = self._inverse @ self._weighted.T
        # What each y adds to the two coefficients.
        effects = shrink.T @ common
        coefficients = self._common.copy()
        if is_known:
            coefficients += self.ratios * self._own[group]
            inside = self._group == group
            effects[:, inside] += (self.ratios[:, None] * shrink) @ self._z[inside].T
        # Leaving observations out is the same as putting what the others predict in their place.
        by_text = np.stack([np.bincount(self._text, effect * self.left_out) for effect in effects], axis=1)
        own = np.diag(self.ratios) @ shrink
        covariance = self.noise_sd**2 * (own + shrink.T @ self._inverse @ shrink)
        back = np.array([[1.0, -self._center / self._scale], [0.0, 1 / self._scale]])
        intercept, slope = back @ coefficients
        return Line(
            intercept=float(intercept),
            slope=float(slope),
            covariance=back @ covariance @ back.T,
            without=(coefficients - by_text[self._text]) @ back.T,
        )

    def _without_texts(self, alpha: Floats) -> Floats:
        """Return the residuals of observations that are left out with their texts: (K^-1)_SS^-1 (K^-1 y)_S."""
        by_text = np.argsort(self._text, kind="stable")
        _, starts, counts = np.unique(self._text[by_text], return_index=True, return_counts=True)
        left_out = np.empty(len(alpha))
        for size in np.unique(counts):
            rows = by_text[starts[counts == size][:, None] + np.arange(size)]
            weighted, z = self._weighted[rows], self._z[rows]
            precision = np.eye(size) - np.einsum("tai,ij,tbj->tab", weighted, self._inverse, weighted)
            own = np.einsum("tai,i,taij,tbj->tab", z, self.ratios, self._shrink[self._group[rows]], z)
            precision -= np.where(self._group[rows][:, :, None] == self._group[rows][:, None], own, 0.0)
            inverse = np.linalg.pinv(precision, hermitian=True)
            left_out[rows] = np.einsum("tab,tb->ta", inverse, alpha[rows])
        return left_out


def fit_lines(x: Floats, y: Floats, group: Integers, text: Integers, ratios: Floats | None = None) -> Lines:
    """Fit a line for each group, shrunk toward the line of all groups.

    Parameters
    ----------
    x, y
        (N,) observations; N is `FEWEST` at least.
    group
        (N,) numbers of the groups, from 0.
    text
        (N,) numbers of the texts, from 0: what has one number is left out together.
    ratios
        (2,) variances of the groups' intercepts and slopes in variances of the noise; None: estimated, or zeros where
        there is one group, which has the same line with any.

    Raises
    ------
    ValueError
        There are fewer observations than `FEWEST`.

    Notes
    -----
    A mixed model (Laird and Ware 1982, Random-effects models for longitudinal data). The ratios are the squares of the
    expected standard deviations of the groups' intercepts and slopes, in standard deviations of the noise, under the
    restricted likelihood (Patterson and Thompson 1971, Recovery of inter-block information) and half-Cauchy priors of
    scale 1 (Gelman 2006, Prior distributions for variance parameters in hierarchical models). The most likely ratios
    are 0 too often: lines of groups would seem to be known better than they are.

    Leaving out is in closed form, with the same ratios: with P the precision of y once the common line is taken off,
    the residuals of a text's observations S are (P_SS)^-1 (P y)_S (Dubrule 1983, Cross validation of kriging in a
    unique neighborhood).
    """
    if len(x) < FEWEST:
        raise ValueError(f"{len(x)} observations; a line takes {FEWEST}")
    return Lines(x, y, group, text, ratios)


@dataclass(frozen=True)
class _Sums:
    """Sums over each of G groups, with z = (1, x)."""

    squares: Floats  # (G, 2, 2) of z z'
    products: Floats  # (G, 2) of z y
    total: float  # of y^2, over all groups
    n: int

    @classmethod
    def of(cls, z: Floats, y: Floats, group: Integers) -> "_Sums":
        squares = np.zeros((int(group.max()) + 1, 2, 2))
        products = np.zeros((len(squares), 2))
        for i in range(2):
            products[:, i] = np.bincount(group, z[:, i] * y)
            for j in range(2):
                squares[:, i, j] = np.bincount(group, z[:, i] * z[:, j])
        return cls(squares, products, float(y @ y), len(y))


@dataclass(frozen=True)
class _Solved:
    """The common line for given ratios, and what it takes to get there; a leading axis for each of several ratios."""

    shrink: Floats  # (..., G, 2, 2) (I + Z'Z D)^-1, with D = diag(p, q)
    inverse: Floats  # (..., 2, 2) of X' V^-1 X
    common: Floats  # (..., 2) the common line
    likelihood: Floats  # (...) logarithm of the restricted likelihood, up to a constant

    @classmethod
    def of(cls, sums: _Sums, ratios: Floats) -> "_Solved":
        inner = np.eye(2) + sums.squares * ratios[..., None, None, :]
        shrink = np.asarray(np.linalg.inv(inner), dtype=np.float64)
        information = np.einsum("...gij,gjk->...ik", shrink, sums.squares)
        weighted = np.einsum("...gij,gj->...gi", shrink, sums.products)
        inverse = np.asarray(np.linalg.pinv(information, hermitian=True), dtype=np.float64)
        total = weighted.sum(axis=-2)
        common = np.einsum("...ij,...j->...i", inverse, total)
        explained = np.einsum("gi,...i,...gi->...", sums.products, ratios, weighted) + (common * total).sum(axis=-1)
        residual = np.maximum(sums.total - explained, _SMALLEST)
        logs = np.log(np.linalg.det(inner)).sum(axis=-1)
        logs = logs + np.log(np.maximum(np.linalg.det(information), _SMALLEST))
        return cls(shrink, inverse, common, -0.5 * ((sums.n - 2) * np.log(residual) + logs))


def _expected_ratios(z: Floats, y: Floats, group: Integers) -> Floats:
    if len(np.unique(group)) < 2:
        return np.zeros(2)
    # About the mean, so that no digits are lost to it.
    sums = _Sums.of(z, y - y.mean(), group)
    solved = _Solved.of(sums, np.stack(np.meshgrid(_RATIOS, _RATIOS, indexing="ij"), axis=-1))
    sds = np.sqrt(_RATIOS)
    # Half-Cauchy, in steps of the logarithm.
    prior = sds / (1 + _RATIOS)
    weights = np.exp(solved.likelihood - solved.likelihood.max()) * np.outer(prior, prior)
    expected = np.array([weights.sum(axis=1) @ sds, weights.sum(axis=0) @ sds]) / weights.sum()
    return np.asarray(expected**2)
