"""Evidence of the condensed phase beyond Laplace: the integral of its measure (docs/condensed.md, eq. C.10).

The heavy unit's measure is broad, skewed and has as many directions as there are inputs, so that Laplace at its mode
misses several nats. The integral is taken along a path from a Gaussian, whose integral is known, to the measure:

    U_l = (1 - l) |x|^2/2 + l U,     ln Z = ln Z_Gauss + integral over l of <|x|^2/2 - U>_l,     0 <= l <= 1     (C.10)

in coordinates x of the mean Hessian and the mean of chains, so that the path is short. The condensed phase is where the
readout stands apart from the crowd: v = edge sqrt(Q/lambda1) + exp(w), and w has no edge left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proplim.theory._cavity_draws import Problem
from proplim.theory.condensed import _phases
from proplim.theory.condensed._chains import (
    CHAINS,
    FIRST_WALK,
    FLOOR,
    START_FLOOR,
    START_WIDTH,
    frame_of_chains,
)
from proplim.theory.condensed._hmc import Frame, Target, advance, begin, frame_at, without_lost
from proplim.theory.condensed._measure import Measure

NODES = 7
"""Gauss-Legendre nodes of the path."""
WARM, DRAWS = 4, 16
"""Trajectories of a chain at a node, without and with the average."""
GROUPS = 8
"""Groups of chains that give the error."""
SMALLEST_GAP = 0.1
"""Distance of the readout from the edge of the crowd at which the search for the minimum starts."""


COLDEST = 1e-4
"""Lowest temperature of the search for T_c, in units of the mean square of the labels."""
RUNG = 1.3
"""Ratio of neighbouring temperatures at which the heavy mode is followed."""
TOLERANCE = 1e-3
"""Of ln T_c."""
SLOPE_STEP = 0.02
"""Half the interval in ln T from which the slope of the lead at T_c is taken."""


class Evidence(NamedTuple):
    """ln Z and its standard error."""

    value: float
    error: float


def condensed_log_evidence(measure: Measure, mode: _phases.HeavyMode, seed: int) -> Evidence:
    """ln Z_condensed by eq. (C.10), all N units and both signs of the readout counted.

    Parameters
    ----------
    measure : Measure
        With one explicit unit.
    mode : HeavyMode
        Of the measure.
    seed : int
        Of the chains; the same at all temperatures, so that ln Z is smooth in T.
    """
    rng = np.random.default_rng([seed, 400])
    target = _apart(measure)
    frame, theta = _frame(target, _start(measure, mode.x), rng)
    to_frame = np.linalg.inv(frame.axes)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    slopes, walk = np.zeros(CHAINS), None
    for part, weight in zip(0.5 * (nodes + 1.0)[::-1], 0.5 * weights[::-1], strict=True):
        path = _between(target, frame, to_frame, part)
        walk = begin(path, frame, (theta - frame.centre) @ to_frame, rng, walk)
        walk, _ = advance(walk, WARM, 1, rng)
        walk, chains = advance(walk, DRAWS, 1, rng)
        theta = walk.theta
        rows = chains.theta.reshape(-1, theta.shape[1])
        x = (rows - frame.centre) @ to_frame
        difference = 0.5 * (x * x).sum(axis=1) - target(rows)[0]
        slopes += weight * difference.reshape(DRAWS, CHAINS).mean(axis=0)
    groups = slopes.reshape(GROUPS, -1).mean(axis=1)
    gauss = 0.5 * len(mode.x) * np.log(2.0 * np.pi) + np.linalg.slogdet(frame.axes)[1]
    value = np.log(2.0 * measure.width) - measure.constant + gauss + groups.mean()
    return Evidence(float(value), float(groups.std(ddof=1) / np.sqrt(GROUPS)))


def _start(measure: Measure, mode: np.ndarray) -> np.ndarray:
    """Minimum in (z, w, u) that the mode leads to."""
    gap = mode[-2] - _phases.least_apart(measure, mode[-1])
    start = np.concatenate([mode[:-2], [np.log(max(gap, SMALLEST_GAP)), mode[-1]]])
    return _phases.minimise(_apart(measure), start)


def _apart(measure: Measure) -> Target:
    """-ln of the density of eq. (C.2) in (z, w, u), and its gradient."""

    def target(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        edge, gap = _phases.least_apart(measure, x[:, -1]), np.exp(x[:, -2])
        theta = x.copy()
        theta[:, -2] = edge + gap
        energy, gradient = measure.largest(theta)
        d_v = gradient[:, -2].copy()
        gradient[:, -2] = d_v * gap - 1.0
        gradient[:, -1] += 0.5 * d_v * edge
        return energy - x[:, -2], gradient

    return target


def _frame(target: Target, mode: np.ndarray, rng: np.random.Generator) -> tuple[Frame, np.ndarray]:
    """Coordinates of the mean Hessian over chains from the mode, and where the chains are."""
    first = frame_at(mode, _phases.hessian_at(target, mode), START_FLOOR)
    start = START_WIDTH * rng.standard_normal((CHAINS, len(mode)))
    walk, _ = advance(begin(target, first, start, rng), FIRST_WALK, 1, rng)
    theta = without_lost(walk).theta
    return frame_of_chains(target, theta, FLOOR), theta


def _between(target: Target, frame: Frame, to_frame: np.ndarray, part: float) -> Target:
    """U_l of eq. (C.10), in the single precision of the chains."""
    to_frame, centre = to_frame.astype(np.float32), frame.single_centre

    def path(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        energy, gradient = target(theta)
        x = (theta - centre) @ to_frame
        e0, g0 = 0.5 * (x * x).sum(axis=1), x @ to_frame.T
        return (1.0 - part) * e0 + part * energy, (1.0 - part) * g0 + part * gradient

    return path


class Transition(NamedTuple):
    """T_c and its standard error."""

    temperature: float
    error: float


NO_TRANSITION = Transition(np.nan, np.nan)


def condensation_temperature(problem: Problem, width: float, lambda1: float, seed: int) -> Transition:
    """T_c, where ln Z_condensed = ln Z_lazy; NaN where they never weigh the same while both exist.

    The heavy mode is followed upwards from the lowest temperature to where it ends, and T_c is found between. Its
    error is that of the lead, ln of the ratio of the phases, over the lead's slope in T.
    """
    from scipy.optimize import brentq

    y = problem.spectrum.dataset.y_train
    coldest = COLDEST * float(y @ y) / len(y)

    def lead(log_t: float) -> Evidence:
        """ln of the ratio of the phases; where there is no heavy phase the lazy one leads."""
        measure = Measure(problem, float(np.exp(log_t)), width, lambda1)
        mode = _phases.heavy_mode(measure)
        if mode is None:
            return Evidence(-np.inf, 0.0)
        heavy = condensed_log_evidence(measure, mode, seed)
        return Evidence(heavy.value - _phases.lazy_log_evidence(measure), heavy.error)

    low = hottest = float(np.log(coldest))
    mode = _phases.heavy_mode(Measure(problem, coldest, width, lambda1))
    while mode is not None:
        hottest = low
        low += float(np.log(RUNG))
        mode = _phases.heavy_mode(Measure(problem, float(np.exp(low)), width, lambda1), mode.x)
    low = float(np.log(coldest))
    if not (hottest > low and lead(low).value > 0.0 > lead(hottest).value > -np.inf):
        return NO_TRANSITION
    log_t = float(brentq(lambda x: lead(x).value, low, hottest, xtol=TOLERANCE))
    below, above = max(log_t - SLOPE_STEP, low), min(log_t + SLOPE_STEP, hottest)
    fall = (lead(below).value - lead(above).value) / (above - below)
    temperature = float(np.exp(log_t))
    return Transition(temperature, temperature * lead(log_t).error / abs(fall))
