"""When a point has been sampled enough.

The decision looks at ESS and R-hat only, never at a mean or at an error bar's position.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proplim.sampling._settings import SamplingSettings

GROWTH = (1.25, 2.0)
"""Bounds of the factor from the draws at one check to those at the next."""
RESERVE = 1.1
"""How much more than the extrapolated shortfall is drawn before the next check."""


class Verdict(NamedTuple):
    """Smallest ESS and largest R-hat, whether they suffice, and how many times more draws that would take."""

    ess: float
    rhat: float
    converged: bool
    shortfall: float


def judge(table: dict[str, np.ndarray], settings: SamplingSettings) -> Verdict:
    """Verdict on statistics by observable, each (statistic, ...); those that are undefined are left out."""
    ess, rhat = _worst(table)
    shortfall = max(settings.target_ess / ess if ess > 0 else np.inf, (rhat - 1) / (settings.max_rhat - 1))
    return Verdict(ess, rhat, ess >= settings.target_ess and rhat < settings.max_rhat, shortfall)


def share_done(verdict: Verdict) -> float:
    """Share of the draws that are there, as far as the verdict can tell."""
    return min(1.0, 1.0 / verdict.shortfall) if verdict.shortfall > 0 else 1.0


def next_check(draws: int, verdict: Verdict) -> int:
    """Draws per chain at which to look again."""
    if not np.isfinite(verdict.shortfall):
        return 2 * draws
    return int(np.clip(RESERVE * verdict.shortfall, *GROWTH) * draws)


def _worst(table: dict[str, np.ndarray]) -> tuple[float, float]:
    mean, _, ess, rhat = (
        np.concatenate([np.ravel(value[row]) for value in table.values()]) for row in range(4)
    )
    defined = ~np.isnan(mean)
    if not defined.any() or np.isnan(ess[defined]).any() or np.isnan(rhat[defined]).any():
        return 0.0, np.inf
    return float(ess[defined].min()), float(rhat[defined].max())
