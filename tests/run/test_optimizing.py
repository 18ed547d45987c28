"""What a job returns to a search of settings."""

from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from valueflow.run import InputError
from valueflow.run.launching import is_searching
from valueflow.run.optimizing import optimized_metric

SUMMARY: dict[str, Any] = {
    **{"mean": 1, "name": "x", "empty": None, "share": np.float64(0.25), "odd": float("nan"), "flag": True},
    "reliability": {"kendall_tau": 0.5},
    "judges": [{"name": "a", "tau": 0.1}, {"name": "b", "tau": 0.2}],
}


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("mean", 1.0),
        ("share", 0.25),
        ("reliability.kendall_tau", 0.5),
        ("judges.b.tau", 0.2),
        (["mean", "reliability.kendall_tau"], (1.0, 0.5)),
    ],
)
def test_figures_are_found_by_their_names_in_sweep_csv(named: Any, found: Any) -> None:
    assert optimized_metric(SUMMARY, named, needed=True) == found


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (
            "reliability.kendal_tau",
            "optimized_metric=reliability.kendal_tau is no figure .* did you mean 'reliability.k",
        ),
        ("name", "optimized_metric=name is empty in this summary"),
        ("empty", "is empty"),
        ("odd", "is empty"),
        ("flag", "is empty"),
        (None, "optimized_metric is null"),
        (["mean", "none"], "optimized_metric=none is no figure"),
    ],
)
def test_only_a_search_needs_them(named: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        optimized_metric(SUMMARY, named, needed=True)
    assert optimized_metric(SUMMARY, named, needed=False) is None


def test_hydra_s_own_sweeper_searches_nothing() -> None:
    plain, optuna = "core_plugins.basic_sweeper.BasicSweeper", "hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
    configs = [OmegaConf.create({"hydra": {"sweeper": {"_target_": name}}}) for name in (plain, optuna)]
    assert [is_searching(config) for config in configs] == [False, True]
