"""Two phases of the posterior, with and without a heavy unit, and the weights of the two.

The heavy readout xi = |E[v | w]|_8 / sqrt(N) tells the phases apart. Where chains from both sides stay apart, a
spring moves xi in small steps from one phase to the other (a *sweep*), half of the sweeps upwards and half
downwards. The windows of a sweep overlap; their draws, reweighted by the multistate Bennett acceptance ratio
(Shirts and Chodera 2008), give the distribution of xi and with it the weights. A partition by a threshold in xi is
exact whatever the threshold is, so nothing depends on how clearly the phases are apart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

SEPARATION = 4.0
"""Least distance of two phases in xi, in units of the root mean square of their widths."""
SMALLEST_CLUSTER = 0.02
"""Share of the draws that a phase has at least."""
WINDOW_WIDTH = 0.35
"""Distance of neighbouring windows and width of xi under a spring alone, times sqrt(N)."""
MARGIN = 2.0
"""Standard deviations of xi in a phase by which the windows reach beyond its mean."""
FEWEST_WINDOWS = 4
WINDOW_SETTLING, WINDOW_DRAWS = 3, 7
"""Trajectories at a window that adapt the step, and that count."""
PRIOR_SPREAD, PRIOR_COUNT = 1.0, 2.0
"""What is taken for the standard deviation of ln(weight ratio) from sweep to sweep before it is known, and how many
sweeps that counts for: two sweeps may agree by chance."""
LARGEST_RATIO = 100.0
"""Bound of |ln(weight ratio)| of a sweep, taken where no draw of it is in one of the phases."""
NEGLIGIBLE = 1e-3
"""Weight below which a phase is left out, if it is below by two standard errors."""


class Clusters(NamedTuple):
    """Means and standard deviations of xi without and with a heavy unit, and the threshold between."""

    means: np.ndarray
    spreads: np.ndarray
    threshold: float


def clusters_of(heavy: np.ndarray) -> Clusters | None:
    """Two clusters of the values of xi, split where the variance within is least; None where they are not apart."""
    values = np.sort(np.ravel(heavy))
    count = len(values)
    least = max(int(SMALLEST_CLUSTER * count), 2)
    if count < 2 * least or not np.isfinite(values).all():
        return None
    left = np.arange(least, count - least + 1)
    sums, squares = np.cumsum(values), np.cumsum(values**2)
    below, above = (left, sums[left - 1], squares[left - 1]), (count - left, sums[-1], squares[-1])
    above = (above[0], above[1] - below[1], above[2] - below[2])
    within = sum(square - total**2 / n for n, total, square in (below, above))
    cut = int(left[np.argmin(within)])
    low, high = values[:cut], values[cut:]
    means, spreads = np.array([low.mean(), high.mean()]), np.array([low.std(), high.std()])
    width = np.sqrt((spreads**2).sum())
    if not np.sqrt(2.0) * (means[1] - means[0]) > SEPARATION * width:
        return None
    return Clusters(means, spreads, float(0.5 * (low[-1] + high[0])))


class Windows(NamedTuple):
    """Centres (K,) of the springs from low to high xi, and their strength."""

    centres: np.ndarray
    strength: float


def windows_between(clusters: Clusters, width: int) -> Windows:
    """Windows that cover both phases at width N."""
    low = max(clusters.means[0] - MARGIN * clusters.spreads[0], 0.0)
    high = clusters.means[1] + MARGIN * clusters.spreads[1]
    count = max(int(np.ceil((high - low) * np.sqrt(width) / WINDOW_WIDTH)) + 1, FEWEST_WINDOWS)
    centres = np.linspace(low, high, count)
    return Windows(centres, float((centres[1] - centres[0]) ** -2))


def log_ratio(values: np.ndarray, windows: Windows, threshold: float) -> float:
    """ln of the weight above over that below the threshold, from (K, draws) values of xi in the windows.

    Free energies f_k of the windows minimise the convex function of Shirts and Chodera; a draw then has the
    unbiased weight 1 / sum_k n exp(f_k - u_k).
    """
    spring = 0.5 * windows.strength * (values[..., None] - windows.centres) ** 2
    energy, count = spring.reshape(-1, len(windows.centres)), values.shape[1]

    def objective(free: np.ndarray) -> tuple[float, np.ndarray]:
        exponent = free - energy
        total = logsumexp(exponent, axis=1)
        occupation = np.exp(exponent - total[:, None]).sum(0)
        return float(total.sum() - count * free.sum()), occupation - count

    free = minimize(objective, np.zeros(len(windows.centres)), jac=True, method="L-BFGS-B").x
    weight, above = -logsumexp(free - energy, axis=1), values.ravel() > threshold
    sides = [logsumexp(weight[side]) if side.any() else -np.inf for side in (~above, above)]
    return float(np.clip(sides[1] - sides[0], -LARGEST_RATIO, LARGEST_RATIO))


class Phases(NamedTuple):
    """Two phases and what the sweeps say of their weights.

    Parameters
    ----------
    threshold : float
        Of xi; above it a unit is heavy.
    windows : Windows
    ratios : (sweep,) array
        ln(weight with / weight without a heavy unit) by each sweep.
    """

    threshold: float
    windows: Windows
    ratios: np.ndarray

    @property
    def ratio(self) -> float:
        """Mean of ln(weight with / without a heavy unit) over the sweeps."""
        return float(np.mean(self.ratios))

    @property
    def error(self) -> float:
        """Standard error of `ratio`, from its spread from sweep to sweep."""
        count = len(self.ratios)
        spread = ((self.ratios - self.ratio) ** 2).sum() + PRIOR_COUNT * PRIOR_SPREAD**2
        return float(np.sqrt(spread / (count - 1 + PRIOR_COUNT) / count))

    @property
    def weights(self) -> np.ndarray:
        """Weights without and with a heavy unit, (2,)."""
        return np.array([expit(-self.ratio), expit(self.ratio)])

    @property
    def weight_error(self) -> float:
        """Standard error of either weight."""
        return float(np.prod(self.weights) * self.error)

    @property
    def only(self) -> int | None:
        """The phase that is left where the other one's weight is negligible: 1 with a heavy unit, 0 without.

        What is slow lags behind a sweep and favours the phase that it comes from. So the first one, upwards, can by
        itself speak against the phase without a heavy unit alone.
        """
        if len(self.ratios) == 1 and self.ratio < 0.0:
            return None
        if abs(self.ratio) - 2.0 * self.error < -np.log(NEGLIGIBLE):
            return None
        return int(self.ratio > 0)


def next_sweeps(done: int) -> list[int]:
    """Numbers of the sweeps of the next round: even ones go up, odd ones down.

    The first two are rounds of their own, since the first may settle it; then one up and one down run side by side.
    """
    return [done] if done < 2 else [done, done + 1]


class Partition(NamedTuple):
    """Draws by phase: which draws have a heavy unit, (chain, draw), the weights (2,) of the phases, and their error."""

    heavy: np.ndarray
    weights: np.ndarray
    weight_error: float


def whole(chains: int, draws: int) -> Partition:
    """One phase."""
    return Partition(np.zeros((chains, draws), bool), np.array([1.0, 0.0]), 0.0)


def partition(phases: Phases, heavy: np.ndarray) -> Partition:
    """Draws of xi, (chain, draw), by phase; a phase without draws has no weight."""
    above = heavy > phases.threshold
    if above.all() or not above.any():
        return whole(*heavy.shape)._replace(
            heavy=above, weights=np.array([1.0, 0.0])[:: -1 if above.all() else 1]
        )
    return Partition(above, phases.weights, phases.weight_error)
