"""When a point has been sampled enough.

The decision looks at ESS and R-hat only, never at a mean or at an error bar's position.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proplim.sampling._settings import SamplingSettings

GROWTH = (1.25, 2.0)
"""Bounds of the factor from the draws at one check to those at the next."""
MOST_BY_RHAT = 1.5
"""Largest factor that R-hat alone asks for: the largest of many, it falls faster than each of them does."""
RESERVE = 1.1
"""How much more than the extrapolated shortfall is drawn before the next check."""


class Verdict(NamedTuple):
    """Smallest ESS and largest R-hat, whether they suffice, and how many times more draws either would take."""

    ess: float
    rhat: float
    converged: bool
    short_of_ess: float
    short_of_rhat: float

    @property
    def shortfall(self) -> float:
        """How many times more draws it would take."""
        return max(self.short_of_ess, self.short_of_rhat)


def judge(table: dict[str, np.ndarray], settings: SamplingSettings) -> Verdict:
    """Verdict on statistics by observable, each (statistic, ...); those that are undefined are left out."""
    ess, rhat = _worst(table)
    return Verdict(
        ess,
        rhat,
        ess >= settings.target_ess and rhat < settings.max_rhat,
        settings.target_ess / ess if ess > 0 else np.inf,
        (rhat - 1) / (settings.max_rhat - 1),
    )


def share_done(verdict: Verdict) -> float:
    """Share of the draws that are there, as far as the verdict can tell."""
    return min(1.0, 1.0 / verdict.shortfall) if verdict.shortfall > 0 else 1.0


def next_check(draws: int, verdict: Verdict) -> int:
    """Draws per chain at which to look again."""
    if not np.isfinite(verdict.shortfall):
        return 2 * draws
    factor = max(RESERVE * verdict.short_of_ess, min(RESERVE * verdict.short_of_rhat, MOST_BY_RHAT))
    return int(np.clip(factor, *GROWTH) * draws)


def _worst(table: dict[str, np.ndarray]) -> tuple[float, float]:
    mean, _, ess, rhat = (
        np.concatenate([np.ravel(value[row]) for value in table.values()]) for row in range(4)
    )
    defined = ~np.isnan(mean)
    if not defined.any() or np.isnan(ess[defined]).any() or np.isnan(rhat[defined]).any():
        return 0.0, np.inf
    return float(ess[defined].min()), float(rhat[defined].max())
