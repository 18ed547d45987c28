"""What pictures show: principal components, the order of a heatmap, names that are hostile."""

from pathlib import Path

import numpy as np
import pandas as pd

from valueflow.profiling.pictures import draw_profiles, leaf_order, pictures_of, principal_map


def test_the_map_shows_the_components_of_the_covariance() -> None:
    means = np.random.default_rng(0).normal(0, [3, 1, 0.5, 0.1], (9, 4))
    points, arrows, shares = principal_map(means)
    sizes, vectors = np.linalg.eigh(np.cov(means.T))
    np.testing.assert_allclose(shares, sizes[::-1][:2] / sizes.sum())
    np.testing.assert_allclose(np.abs(arrows), np.abs(vectors[:, ::-1][:, :2]), atol=1e-9)
    np.testing.assert_allclose(points, (means - means.mean(axis=0)) @ arrows, atol=1e-9)
    assert (arrows[np.abs(arrows).argmax(axis=0), [0, 1]] > 0).all()


def test_like_groups_stand_together() -> None:
    rng = np.random.default_rng(1)
    kind = rng.permutation(np.repeat([0, 1, 2], 4))
    points = 10 * np.eye(3)[kind] + rng.normal(0, 0.1, (12, 3))
    ordered = kind[leaf_order(points)]
    assert np.count_nonzero(np.diff(ordered)) == 2
    assert leaf_order(points[:2]) == [0, 1]


def rows_of(groups: list[str], labels: list[str]) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    rows = [
        {
            "theory": "pvq",
            "group": group,
            "label": label,
            "mean": mean,
            "low": mean - 1,
            "high": mean + 1,
            "differs": True,
        }
        for group in groups
        for label in labels
        for mean in [rng.uniform(-9, 9)]
    ]
    return pd.DataFrame(rows)


def test_pictures_take_names_as_they_are_and_are_the_same_for_the_same_profiles(tmp_path: Path) -> None:
    rows = rows_of(["$100,000 or more", "_x\x07", "third"], ["a/b", "$c$"])
    rows.loc[0, ["low", "high"]] = np.nan
    for name in ("one.svg", "other.svg"):
        draw_profiles(rows, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()


def test_there_are_pictures_of_what_there_is() -> None:
    kinds = {name.partition(".")[0] for name in pictures_of(rows_of(["a", "b", "c"], ["x", "y"]))}
    assert kinds == {"profiles", "heatmap", "map"}
    assert {name.partition(".")[0] for name in pictures_of(rows_of(["a"], ["x", "y"]))} == {"profiles"}
    assert pictures_of(rows_of(["a"], ["x"]).assign(mean=np.nan)) == {}
