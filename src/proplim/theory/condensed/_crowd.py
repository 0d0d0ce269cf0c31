"""How likely it is that no readout of the others exceeds a bound, their norm given (docs/condensed.md, eq. C.2).

n readouts of given norm are uniform on a sphere; in units of their root mean square, P_n(x) is the share of the sphere
on which |t_i| < x for all of them. Let rho be the density exp(-m t^2/2) on |t| < x with m such that <t^2> = 1. By
steepest descent, the fluctuations of the norm, <t^4> - 1, in the next order,

    d ln P_n/dx = n l exp(c/n),     l = 2 rho(x),
    c = -[ x^4 - <t^4> - (x^2 - 1) (<t^6> - <t^4>)/(<t^4> - 1) ]/(2 (<t^4> - 1))                       (C.11)

In the exponent c has the sphere's tail, exp(-x^4/(4 n)) below the Gaussian's. With erf(x/sqrt 2)^n in the place of P_n,
readouts that are independent at every norm, the norm would shrink away from the bound and be counted twice: the largest
of 60 Gaussian readouts comes out 4 % too small.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

QUADRATURE = 200
"""Gauss-Legendre nodes of averages over t in (0, x)."""
ENTRIES = 1600
"""Entries of the table; its error in ln P_n is below 1e-6."""
NARROWEST, WIDEST = -400.0, 160.0
"""m x^2 at the ends of the table: from 1.0013 to 12.6 deviations."""
TABLES = 32
"""Numbers of others that are kept."""


class Below(NamedTuple):
    """ln P_n, its slope in x, and the slope of the slope's logarithm; arrays of one shape."""

    log: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray


class _Table(NamedTuple):
    """Cubics of ln P_n and of ln of its slope in x, on equal steps of y = ln(x - 1)."""

    first: float  # x
    last: float
    step: float  # of y
    log: np.ndarray  # (4, m), the highest power first
    log_slope: np.ndarray


def others_below(x: np.ndarray, others: float) -> Below:
    """ln P_n(x) for n = `others`.

    Below 1 nothing is left of the sphere: there ln P_n falls linearly, steeply enough that no chain stays.

    Parameters
    ----------
    x : array
        Bound in units of the root mean square of the others' readouts.
    others : float
    """
    table = _table(float(others))
    inside = np.clip(x, table.first, table.last)
    y = np.log((inside - 1.0) / (table.first - 1.0))
    entry = np.clip((y / table.step).astype(int), 0, table.log.shape[1] - 1)
    d = y - entry * table.step
    a, b, c, e = table.log[:, entry]
    log = ((a * d + b) * d + c) * d + e
    a, b, c, e = table.log_slope[:, entry]
    slope = np.exp(((a * d + b) * d + c) * d + e)
    curvature = ((3.0 * a * d + 2.0 * b) * d + c) / (inside - 1.0)
    return Below(log + slope * np.minimum(x - table.first, 0.0), slope, np.where(x == inside, curvature, 0.0))


@lru_cache(maxsize=TABLES)
def _table(others: float) -> _Table:
    from scipy.interpolate import CubicSpline

    reduced = np.linspace(-np.sqrt(-NARROWEST), np.sqrt(WIDEST), ENTRIES)
    reduced = reduced * np.abs(reduced)  # m x^2, denser where the density is flat
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE)
    s = 0.5 * (nodes + 1.0)
    height = np.minimum(reduced, 0.0)[:, None]  # of the exponent at the edge, where it is largest for m < 0
    density = 0.5 * weights * np.exp(-0.5 * reduced[:, None] * s * s + 0.5 * height)
    integral = density.sum(axis=1)
    second, fourth, sixth = (density @ s**k / integral for k in (2, 4, 6))
    x = 1.0 / np.sqrt(second)
    fourth, sixth = fourth * x**4, sixth * x**6
    spread = fourth - 1.0
    correction = -(x**4 - fourth - (x**2 - 1.0) * (sixth - fourth) / spread) / (2.0 * spread)
    edge = -0.5 * reduced + 0.5 * height[:, 0] - np.log(integral * x)  # ln of 2 rho(x)
    y = np.log((x - 1.0) / (x[0] - 1.0))
    even = np.linspace(0.0, y[-1], ENTRIES)
    log_slope = CubicSpline(y, np.log(others) + edge + correction / others)(even)
    rise = CubicSpline(even, np.exp(log_slope + even) * (x[0] - 1.0)).antiderivative()  # of d ln P_n/dy
    log = CubicSpline(even, rise(even) - rise(even[-1]))
    return _Table(float(x[0]), float(x[-1]), float(even[1]), log.c, CubicSpline(even, log_slope).c)
