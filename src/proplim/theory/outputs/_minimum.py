"""The global minimum of the effective action of C outputs: Newton steps, and proofs that it is global."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proplim.theory.outputs._action import At, Problem
from proplim.theory.outputs._proof import is_proved_global

EPS = float(np.finfo(float).eps)
NEWTON_STEPS = 200
LARGEST_STEP = 3.0
"""Largest entry of a step in the logarithm of Q."""
HALVINGS = 40
DESCENT = 1e-4
"""Share of the expected descent that a step has to achieve."""
SMALLEST_CURVATURE = 1e-3
"""Curvature taken at least, where the action is not convex in the logarithm."""
STALLED = 3
"""Steps without a smaller residual after which rounding is taken to be reached."""
NEAR = 1e-6
"""Relative residual below which steps may stall."""
RESIDUAL_TOLERANCE = 64.0
"""Accepted residual in units of eps times the magnitude of its terms, as for one output."""
SAME_ACTION = 1e-9
"""Relative difference within which starts from several sides agree."""


class Minimum(NamedTuple):
    """The minimum that was found at a grid point.

    Parameters
    ----------
    at : At
    converged : bool
        The residual is at rounding level, and the minimum is proved global or the lowest from all starts.
    proved : bool
        It is proved that no order parameter has a lower action (:mod:`proplim.theory.outputs._proof`).
    """

    at: At
    converged: bool
    proved: bool


def find_minimum(problem: Problem) -> Minimum:
    """Minimise from Q = I and prove the minimum global; where there is no proof, start from other sides too."""
    best = descend(At.isotropic(problem, 1.0))
    if is_stationary(best) and is_proved_global(best):
        return Minimum(best, True, True)
    others = [descend(start) for start in _starts(problem)]
    stationary = [at for at in (best, *others) if is_stationary(at)]
    if not stationary:
        return Minimum(best, False, False)
    lowest = min(stationary, key=lambda at: at.action)
    if lowest is not best and is_proved_global(lowest):
        return Minimum(lowest, True, True)
    # A start that ended nowhere says nothing; one that ended elsewhere, higher, is another minimum.
    agreeing = sum(at.action <= lowest.action + SAME_ACTION * (1.0 + abs(lowest.action)) for at in stationary)
    return Minimum(lowest, agreeing > 1, False)


def is_stationary(at: At) -> bool:
    """Whether the residual is at rounding level."""
    return bool(at.residual <= RESIDUAL_TOLERANCE * EPS * at.magnitude)


def descend(start: At) -> At:
    """Newton steps in the logarithm of Q, shortened until the action falls; the point of the smallest residual."""
    at = best = start
    stalled = 0
    for _ in range(NEWTON_STEPS):
        if at.residual < best.residual or best is at:
            best, stalled = at, 0
        else:
            stalled += best.residual <= NEAR * best.magnitude
        if at.residual <= 2.0 * EPS * at.magnitude or stalled >= STALLED:
            break
        following = _step(at)
        if following is None:
            break
        at = following
    return best


def _step(at: At) -> At | None:
    """One step; None where no step lets the action fall, which is rounding."""
    p = at.problem
    gradient = p.as_vector(at.gradient)
    change = -_inverse_curvature(at.hessian, gradient)
    change *= min(1.0, LARGEST_STEP / max(float(np.abs(change).max()), EPS))
    slope = float(gradient @ change)
    rounding = 1e2 * EPS * (1.0 + abs(at.action))
    for _ in range(HALVINGS):
        following = at.moved(p.as_matrix(change))
        if following.action <= at.action + DESCENT * slope + rounding:
            return following
        change, slope = 0.5 * change, 0.5 * slope
    return None


def _inverse_curvature(hessian: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Inverse Hessian times the gradient; where it is not positive, with the magnitudes of its eigenvalues."""
    try:
        np.linalg.cholesky(hessian)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(hessian)
        scale = np.maximum(np.abs(values), SMALLEST_CURVATURE)
        return np.asarray(vectors @ ((vectors.T @ gradient) / scale))
    return np.linalg.solve(hessian, gradient)


def _starts(problem: Problem) -> list[At]:
    """Other sides to start from: below and above all stationary points, and one large eigenvalue for each output."""
    p = problem
    low = 1.0 / (1.0 + float(p.couplings.sum()) / (p.temperature * p.width))
    high = 1.0 + float(np.linalg.norm(p.labels, 2)) ** 2 / (4.0 * p.width * p.temperature)
    _, _, directions = np.linalg.svd(p.labels, full_matrices=True)
    starts = [At.isotropic(p, low), At.isotropic(p, high)]
    for k in range(p.n_outputs):
        values = np.full(p.n_outputs, min(1.0, high))
        values[k] = high
        starts.append(At(p, values, directions.T.copy()))
    return starts
