"""What adaptive windows saved: the windows that bucket sampling would need to know the responses equally well."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.evaluation.interim import UTILITIES, Interim, grid_posterior, interim
from valueflow.judge import RankedWindows
from valueflow.plackett_luce import posterior_sd, simulate_rankings
from valueflow.vidb import AdaptiveSampling, Anchors, BucketSampling

_SIMULATED = 1000
"""Responses of the simulation: the mean standard deviation is then known to about one percent."""

_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Windows per response that are simulated; between and beyond them, sd follows a power of the count."""


@dataclass(frozen=True)
class AdaptiveFigures:
    """What rounds of adaptive windows took and reached.

    Attributes
    ----------
    settings
        When a response stops.
    rounds
        Rounds, each one batch for the judge.
    windows_per_response
        Mean number of windows, failed ones included.
    responses_by_windows
        How many responses took 1, 2, 3, ... windows.
    reached
        Responses whose posterior is as narrow as asked for.
    stopped_at_most
        Responses that would have gone on but for `m`; all others stopped because a further window promises too little.
    mean_sd
        Mean standard deviation of the posteriors at the end, in points.
    bucket_windows
        Windows per response that `sampling=bucket` would need for the same mean, see `equivalent_bucket_windows`; as
        many of them fail as did here. NaN where all did.
    saved
        Share of those that were not needed; below 0 where bucket would have needed fewer.
    """

    settings: AdaptiveSampling
    rounds: int
    windows_per_response: float
    responses_by_windows: list[int]
    reached: int
    stopped_at_most: int
    mean_sd: float
    bucket_windows: float
    saved: float


def adaptive_figures(
    windows: RankedWindows,
    rows: npt.NDArray[np.int64],
    keys: npt.NDArray[np.uint64],
    anchors: Anchors,
    sampling: AdaptiveSampling,
    *,
    k: int,
    rounds: int,
    reached: int,
    stopped_at_most: int,
) -> AdaptiveFigures:
    """Sum up rounds; `rows` are the responses in the order of their keys."""
    known = interim(windows, rows, anchors)
    mean_sd = float(known.sd.mean())
    counts = np.bincount(windows.responses, minlength=len(rows)) // len(windows.judge_names)
    share_ranked = float(windows.ranked.mean())
    bucket = float("nan")
    if share_ranked > 0:
        rng = np.random.default_rng(int(keys[rows[0]]))
        bucket = equivalent_bucket_windows(known, anchors, mean_sd, k=k, rng=rng) / share_ranked
    return AdaptiveFigures(
        settings=sampling,
        rounds=rounds,
        windows_per_response=float(counts.mean()),
        responses_by_windows=np.bincount(counts)[1:].tolist(),
        reached=reached,
        stopped_at_most=stopped_at_most,
        mean_sd=mean_sd,
        bucket_windows=bucket,
        saved=1 - float(counts.mean()) / bucket,
    )


def equivalent_bucket_windows(
    known: Interim, anchors: Anchors, mean_sd: float, *, k: int, rng: np.random.Generator
) -> float:
    """Estimate how many windows per response bucket sampling needs for a mean posterior standard deviation.

    A simulation with the run's own judges, anchors and posteriors: utilities are drawn from the posteriors, windows by
    buckets, rankings from the Plackett-Luce model; then their posteriors are as narrow as bucket's would be.

    Parameters
    ----------
    known
        What a run knows of its responses and judges.
    anchors
        The value's anchors.
    mean_sd
        The mean to reach, in points.
    k
        Items per window.
    rng
        Source of the draws.
    """
    n_judges, most = len(known.discriminations), _COUNTS[-1]
    n_responses = len(known.posterior)
    chosen = known.posterior[np.arange(_SIMULATED) * n_responses // _SIMULATED]
    places = (np.cumsum(chosen, axis=1) < rng.random((_SIMULATED, 1))).sum(axis=1)
    truth = UTILITIES[np.minimum(places, len(UTILITIES) - 1)]
    drawn = BucketSampling().draw(anchors, rng.random((_SIMULATED * most, k - 1)))
    # (judges, responses, windows): the first windows of each response are those of a smaller count.
    shape = (n_judges, _SIMULATED, most)
    seen = known.places[:, drawn].reshape(-1, k - 1)
    items = np.column_stack([np.tile(np.repeat(truth, most), n_judges), seen])
    slopes = np.repeat(known.discriminations, _SIMULATED * most)
    if known.lapse_rates.any():
        # At a slope of zero every order is equally likely.
        slopes[rng.random(len(slopes)) < np.repeat(known.lapse_rates, _SIMULATED * most)] = 0.0
    orders = simulate_rankings(items, slopes, rng)
    ranked, anchors_seen = orders.reshape(*shape, k), seen.reshape(*shape, k - 1)
    judges, responses, _ = np.indices(shape)
    sds: list[float] = []
    for count in _COUNTS:
        posterior = grid_posterior(
            ranked[:, :, :count].reshape(-1, k),
            anchors_seen[:, :, :count].reshape(-1, k - 1),
            responses[:, :, :count].ravel(),
            _SIMULATED,
            judges[:, :, :count].ravel(),
            known.discriminations,
            known.lapse_rates,
        )
        sds.append(float(posterior_sd(posterior, UTILITIES).mean()))
        if sds[-1] <= mean_sd:
            break
    # What is known to within a step of the grid may have no spread at all on it.
    log_sds = np.log(np.maximum([*sds, mean_sd], UTILITIES[1] - UTILITIES[0]))
    return _crossing(np.log(_COUNTS[: len(sds)]), log_sds[:-1], float(log_sds[-1]))


def _crossing(counts: npt.NDArray[np.float64], sds: npt.NDArray[np.float64], sd: float) -> float:
    """Return the count at which a falling curve, straight in logarithms, reaches an sd; at least 1."""
    if sd >= sds[0]:
        return 1.0
    slope = (sds[-1] - sds[-2]) / (counts[-1] - counts[-2])
    return float(np.exp(counts[-1] + (sd - sds[-1]) / min(slope, -1e-3)))
