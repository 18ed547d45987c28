"""The head against a plain Gaussian process: dense kernel, dense inverse, explicit refits."""

import numpy as np

from valueflow.judge.head import NO_VALUE, IntensityHead, Observations, Weights, fit_weights

WEIGHTS = Weights(shared=0.3, own=0.2, relevance=0.5, noise=0.1)


def observations(n: int = 40, seed: int = 0) -> Observations:
    rng = np.random.default_rng(seed)
    phi = rng.normal(size=(n, 7))
    phi /= np.linalg.norm(phi, axis=1, keepdims=True)
    value = rng.integers(NO_VALUE, 4, n)
    text = np.arange(n)
    text[5] = text[6] = text[7] = 5  # one text under several values
    value[[5, 6, 7]] = [0, 1, 2]
    phi[[6, 7]] = phi[5]
    relevance = np.where(value == NO_VALUE, 0.0, rng.normal(size=n))
    return Observations(phi, relevance, rng.uniform(-10, 10, n), value, text)


def kernel(data: Observations, weights: Weights) -> np.ndarray:
    """The formula, element by element."""
    n = len(data)
    k = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            same = data.value[i] == data.value[j] and data.value[i] != NO_VALUE
            k[i, j] = data.phi[i] @ data.phi[j] * (weights.shared + weights.own * same)
            k[i, j] += weights.relevance * data.relevance[i] * data.relevance[j]
    return k


def dense_prediction(data: Observations, weights: Weights, fitted: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Predict rows `asked` by a process fitted on rows `fitted`."""
    k = kernel(data, weights)
    inner = k[np.ix_(fitted, fitted)] + weights.noise * np.eye(len(fitted))
    return k[np.ix_(asked, fitted)] @ np.linalg.solve(inner, data.intensity[fitted])


def test_predictions_equal_a_dense_gaussian_process() -> None:
    data = observations()
    fitted, asked = np.arange(30), np.arange(30, 40)
    head = IntensityHead(data[fitted], WEIGHTS)
    expected = dense_prediction(data, WEIGHTS, fitted, asked)
    for row, target in zip(asked, expected, strict=True):
        got = head.predict(data.phi[[row]], data.relevance[[row]], int(data.value[row]))
        np.testing.assert_allclose(got, target, atol=1e-9)


def test_held_out_scores_equal_refits_without_the_text() -> None:
    data = observations()
    head = IntensityHead(data, WEIGHTS)
    for row in range(len(data)):
        rest = np.flatnonzero(data.text != data.text[row])
        expected = dense_prediction(data, WEIGHTS, rest, np.array([row]))
        np.testing.assert_allclose(head.held_out(np.array([row])), expected, atol=1e-8)
    np.testing.assert_allclose(head.held_out(np.arange(40)), [head.held_out(np.array([i]))[0] for i in range(40)])


def test_a_copy_of_a_fitted_text_is_scored_without_it_on_any_value() -> None:
    data = observations()
    head = IntensityHead(data, WEIGHTS)
    for row in (0, 5, int(np.flatnonzero(data.value == NO_VALUE)[0])):
        rest = np.flatnonzero(data.text != data.text[row])
        refit = IntensityHead(data[rest], WEIGHTS)
        for value in range(4):
            one = data.phi[[row]], np.array([0.3])
            np.testing.assert_allclose(
                head.predict_without(int(data.text[row]), *one, value), refit.predict(*one, value), atol=1e-8
            )


def test_weights_maximise_the_marginal_likelihood_with_its_prior() -> None:
    data = observations(60)
    y = data.intensity / 10
    base = np.array([np.mean(np.diag(kernel(data, Weights(*row)))) for row in np.eye(4)[:3]])
    center = np.log(np.mean(y**2) * np.array([1, 1, 1, 3]) / 6)

    def negative_log_posterior(logs: np.ndarray) -> float:
        shared, own, relevance = np.exp(logs[:3]) / base
        k = kernel(data, Weights(shared, own, relevance, 0.0)) + np.exp(logs[3]) * np.eye(len(y))
        sign, log_determinant = np.linalg.slogdet(k)
        assert sign > 0
        return 0.5 * y @ np.linalg.solve(k, y) + 0.5 * log_determinant + np.sum((logs - center) ** 2) / 18

    found = fit_weights(data)
    logs = np.log([found.shared * base[0], found.own * base[1], found.relevance * base[2], found.noise])
    best = negative_log_posterior(logs)
    for direction in np.vstack([np.eye(4), -np.eye(4)]):
        assert negative_log_posterior(logs + 0.05 * direction) >= best - 1e-4


def test_the_head_recovers_what_its_own_model_generates() -> None:
    rng = np.random.default_rng(3)
    phi = rng.normal(size=(400, 5))
    slopes = rng.normal(size=5) + 0.3 * rng.normal(size=(4, 5))
    value = np.repeat(np.arange(4), 100)
    intensity = np.einsum("nd,nd->n", phi, slopes[value]) + 0.3 * rng.normal(size=400)
    data = Observations(phi, np.zeros(400), intensity, value, np.arange(400))
    held_out = IntensityHead.fit(data).held_out(np.arange(400))
    assert np.corrcoef(held_out, intensity)[0, 1] > 0.97


def test_a_value_without_anchors_gets_the_shared_part() -> None:
    data = observations()
    head = IntensityHead(data, WEIGHTS)
    phi, relevance = data.phi[[0]], np.array([0.0])
    alone = data[np.flatnonzero(data.value != 3)]
    expected = IntensityHead(alone, WEIGHTS).predict(phi, relevance, 3)
    # Value 3 without anchors: its own part is zero, so any number without anchors gives the same.
    np.testing.assert_allclose(IntensityHead(alone, WEIGHTS).predict(phi, relevance, 99), expected)
    assert abs(head.predict(phi, relevance, 3)[0] - expected[0]) > 1e-6
