"""What a panel is told of: what each of its judges did, and how far they agree."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from valueflow.evaluation.judges import JudgeFit, Reliability
from valueflow.judge import RankedWindows
from valueflow.plackett_luce import anchor_kendall_tau, kendall_w


@dataclass(frozen=True)
class JudgeRecord:
    """What one judge of a panel did.

    Attributes
    ----------
    name
        Its name.
    windows, windows_failed
        Windows it was asked about, and how many of them it failed to rank.
    reliability
        How well it knows the anchors.
    failures
        Why it failed, how often; the most common reason first.
    """

    name: str
    windows: int
    windows_failed: int
    reliability: Reliability
    failures: dict[str, int]


@dataclass(frozen=True)
class Agreement:
    """How far the judges of a panel agree.

    Attributes
    ----------
    kendall_w
        Mean of Kendall's W over windows; NaN where there is none. J judges who rank at random reach
        1/J.
    windows
        Windows that at least two judges ranked; W is that of those judges.
    windows_left_out
        Windows that fewer ranked.
    """

    kendall_w: float
    windows: int
    windows_left_out: int


def judge_agreement(windows: RankedWindows) -> Agreement:
    """Measure how far the judges of a panel agree, whatever the anchors' intensities are."""
    ranked = windows[windows.ranked]
    orders = ranked.orders[np.argsort(ranked.windows, kind="stable")]
    counts = np.bincount(ranked.windows, minlength=int(windows.windows.max(initial=-1)) + 1)
    starts = np.cumsum(counts) - counts
    concordances = [
        kendall_w(orders[starts[counts == n_judges][:, None] + np.arange(n_judges)])
        for n_judges in np.unique(counts[counts >= 2])
    ]
    found = np.concatenate(concordances) if concordances else np.empty(0)
    return Agreement(
        kendall_w=float(found.mean()) if len(found) else np.nan,
        windows=len(found),
        windows_left_out=len(np.unique(windows.windows)) - len(found),
    )


def judge_records(windows: RankedWindows, fits: Sequence[JudgeFit]) -> tuple[JudgeRecord, ...]:
    """Return what each judge did, in the order of their numbers."""
    records = []
    for number, name in enumerate(windows.judge_names):
        failures = windows.failures[windows.judges == number]
        failed = failures[failures != ""]
        records.append(
            JudgeRecord(
                name=name,
                windows=len(failures),
                windows_failed=len(failed),
                reliability=fits[number].reliability,
                failures=dict(Counter(failed).most_common()),
            )
        )
    return tuple(records)


def joint_reliability(ranked: RankedWindows | None, fits: Sequence[JudgeFit]) -> Reliability:
    """Return what holds of a panel as a whole."""
    nan = float("nan")
    tau = nan
    if ranked is not None and len(ranked) and (np.ptp(ranked.intensities, axis=1) > 0).any():
        tau = float(np.nanmean(anchor_kendall_tau(ranked.orders, ranked.intensities)))
    checks = [fit.reliability.passed for fit in fits]
    passed = (
        None if not checks or all(check is None for check in checks) else any(check is not False for check in checks)
    )
    return Reliability(
        kendall_tau=tau,
        kendall_tau_se=nan,
        order_z=nan,
        order_z_over_anchors=nan,
        passed=passed,
        discrimination=nan,
        discrimination_se=nan,
        slope_in_ratings=nan,
        misreading_sd=nan,
        text_misreading_sd=nan,
        lapse_rate=nan,
        source="one per judge",
        position_effect=nan,
        position_effect_se=nan,
        first_places=(),
        commonest_order=(),
        commonest_order_share=nan,
        anchors=max((fit.reliability.anchors for fit in fits), default=0),
        calibration_slope=nan,
        anchors_covered=nan,
    )
