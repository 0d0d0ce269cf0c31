"""A readout that is Gaussian given the hidden weights and bounded, |v| < V: the largest unit stands apart.

    p(v | q, p) ∝ exp(q v - p v^2/2)   on  |v| < V                                                    (8)

With V infinite these are the moments of a Gaussian of mean q/p and variance 1/p.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr


class Readouts(NamedTuple):
    """Moments of eq. (8), arrays of one shape."""

    log_norm: np.ndarray  # ln of the integral of exp(q v - p v^2/2), less ln sqrt(2 pi)
    mean: np.ndarray  # <v>
    square: np.ndarray  # <v^2>
    variance: np.ndarray  # <v^2> - <v>^2
    covariance: np.ndarray  # cov(v, v^2)
    square_variance: np.ndarray  # var(v^2)


def bounded_readouts(q: np.ndarray, p: np.ndarray, bound: float) -> Readouts:
    """Moments of eq. (8) for p > 0."""
    variance = 1.0 / p
    mean = q * variance
    log_norm = 0.5 * q * mean - 0.5 * np.log(p)
    if not np.isfinite(bound):
        square = variance + mean**2
        return Readouts(
            log_norm,
            mean,
            square,
            variance,
            2.0 * mean * variance,
            2.0 * variance**2 + 4.0 * mean**2 * variance,
        )
    root = np.sqrt(p)
    upper, lower = (bound - mean) * root, (bound + mean) * root
    # P(|v| < V) = Phi(upper) - Phi(-lower), as a difference of tails that does not cancel
    high, low = np.minimum(upper, lower), np.maximum(upper, lower)
    inside = log_ndtr(high) + np.log1p(-np.exp(log_ndtr(-low) - log_ndtr(high)))
    log_edge = -0.5 * np.log(2.0 * np.pi) - inside + np.log(root)  # density at an edge, normalised
    at_upper, at_lower = np.exp(log_edge - 0.5 * upper**2), np.exp(log_edge - 0.5 * lower**2)
    m1 = mean - variance * (at_upper - at_lower)
    m2 = mean * m1 + variance * (1.0 - bound * (at_upper + at_lower))
    m3 = mean * m2 + variance * (2.0 * m1 - bound**2 * (at_upper - at_lower))
    m4 = mean * m3 + variance * (3.0 * m2 - bound**3 * (at_upper + at_lower))
    return Readouts(log_norm + inside, m1, m2, m2 - m1**2, m3 - m1 * m2, m4 - m2**2)
