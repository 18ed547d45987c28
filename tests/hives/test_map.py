"""The map of texts: principal components against the eigenvectors of the covariance, and the picture itself."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from tests.hives.labeled import make_labels
from valueflow.hives.outcome import EncoderMap
from valueflow.hives.picture import draw_map, principal_components


def test_components_are_those_of_the_covariance() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 6)) * [5, 3, 1, 1, 0.5, 0.1]
    places, shares = principal_components(vectors)
    values, axes = np.linalg.eigh(np.cov(vectors.T))
    expected = (vectors - vectors.mean(axis=0)) @ axes[:, ::-1][:, :2]
    np.testing.assert_allclose(np.abs(places), np.abs(expected), atol=1e-9)
    np.testing.assert_allclose(shares, values[::-1][:2] / values.sum(), atol=1e-12)
    # The sign is settled by the data, not by the library.
    np.testing.assert_allclose(principal_components(vectors[::-1])[0], places[::-1], atol=1e-9)


def test_few_texts_have_places_too() -> None:
    for n in (1, 2):
        places, shares = principal_components(np.eye(3)[:n])
        assert places.shape == (n, 2)
        assert np.isfinite(places).all()
        assert np.isfinite(shares).all()


@pytest.mark.slow
def test_a_panel_for_each_theory_and_encoder(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    paths = [[(f"v{n % 3}",)] for n in range(30)]
    labels = make_labels([0] * 20 + [1] * 10, paths, rng.integers(0, 3, 30))
    maps = [EncoderMap("before $x$ <b>", rng.normal(size=(30, 5))), EncoderMap("after", rng.normal(size=(30, 4)))]
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    draw_map(maps[:1], labels, one)
    draw_map(maps, labels, two)
    assert imread(two).shape[1] > 1.3 * imread(one).shape[1]
    colors = np.unique(imread(two)[:, :, :3].reshape(-1, 3), axis=0)
    assert len(colors) > 6  # three values, two of them drawn in other shades, axes and text
    again = tmp_path / "again.png"
    draw_map(maps, labels, again)
    assert again.read_bytes() == two.read_bytes()
