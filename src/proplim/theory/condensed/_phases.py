"""Both phases: modes of the measure, their evidence, and the temperature where they weigh the same.

Any of the N units, with either sign, can be the heavy one (docs/condensed.md, eqs. C.3 and C.4):

    ln Z_condensed = ln(2 N) - U(mode) + ((r + 2)/2) ln(2 pi) - (1/2) ln det Hessian - constant         (C.3)
    ln Z_lazy      = ln of the integral over Q at k = 0                                                 (C.4)

Above the temperature at which the mode has run into v = 0 there is no condensed phase.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from proplim.theory._blocks import Points
from proplim.theory._cavity_draws import Problem
from proplim.theory._effective_action import solve_order_parameter
from proplim.theory.condensed._crowd import others_below
from proplim.theory.condensed._hmc import Target
from proplim.theory.condensed._measure import Measure

STARTS = (8.0, 4.0)
"""Distances from the origin, along the labels, where the search for a heavy unit starts; the lower minimum is taken."""
HESSIAN_STEP = 1e-4
APART = 1.0
"""Deviations by which a heavy readout exceeds the largest of N Gaussian ones, sqrt(2 ln 2N), to count as a phase."""
SUPPORT = 45.0
"""ln of the density at which the integral over Q is cut."""
NODES = 2001


class HeavyMode(NamedTuple):
    """A minimum of U with v != 0.

    Parameters
    ----------
    x : (r + 2,) array
        Coordinates of :class:`Measure` with one unit, v > 0.
    log_evidence : float
        Eq. (C.3).
    readout : float
        v in units of the others' deviation.
    share : float
        Share of the labels that the unit carries.
    """

    x: np.ndarray
    log_evidence: float
    readout: float
    share: float


def minimise(target: Target, start: np.ndarray) -> np.ndarray:
    """L-BFGS on one state."""
    from scipy.optimize import minimize

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        energy, gradient = target(x[None])
        return float(energy[0]), gradient[0]

    options = {"maxiter": 3000, "maxcor": 30, "ftol": 1e-14, "gtol": 1e-7}
    return np.asarray(minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x)


def hessian_at(target: Target, x: np.ndarray) -> np.ndarray:
    """Central differences of the gradient, all directions side by side."""
    steps = HESSIAN_STEP * np.eye(len(x))
    gradient = target(np.concatenate([x + steps, x - steps]))[1]
    hessian = (gradient[: len(x)] - gradient[len(x) :]) / (2.0 * HESSIAN_STEP)
    return 0.5 * (hessian + hessian.T)


def signal(problem: Problem) -> np.ndarray:
    """Unit vector of whitened hidden weights along the labels."""
    direction = problem.root.T @ (problem.slopes * problem.spectrum.dataset.y_train)
    return np.asarray(direction / np.linalg.norm(direction))


def heavy_start(measure: Measure, distance: float = STARTS[0]) -> np.ndarray:
    """A unit that carries the labels; further explicit units are ordinary."""
    problem = measure.problem
    y, direction = problem.spectrum.dataset.y_train, signal(problem)
    z = np.zeros((measure.units, measure.rank))
    z[0] = distance * direction
    s = problem.activation.function(problem.root @ z[0])
    v = np.full(measure.units, 2.5 / np.sqrt(measure.lambda1))
    v[0] = np.sqrt(measure.width) * (s @ y) / (s @ s)
    z[1:] = 0.5 * direction
    return np.concatenate([z.ravel(), v, [np.log(0.5)]])


def lazy_start(measure: Measure) -> np.ndarray:
    """Explicit units that are ordinary."""
    q = saddle(measure)
    z = np.tile(0.5 * signal(measure.problem), measure.units)
    v = np.full(measure.units, 2.4 * np.sqrt(q / measure.lambda1))
    return np.concatenate([z, v, [np.log(q)]])


def saddle(measure: Measure) -> float:
    """Q of the proportional theory."""
    point = Points(*(np.array([float(x)]) for x in (measure.temperature, measure.width, measure.lambda1)))
    return float(solve_order_parameter(measure.problem.spectrum, point).order_parameter[0])


def crowd_edge(width: float) -> float:
    """Readout, in units of the others' deviation, from which on a unit is apart from the largest of N ordinary ones."""
    return float(np.sqrt(2.0 * np.log(2.0 * width)) + APART)


def least_apart(measure: Measure, u: np.ndarray) -> np.ndarray:
    """Readouts from which on a unit is apart from the crowd, at ln Q = u of its state."""
    return np.asarray(crowd_edge(measure.width) * np.exp(0.5 * u) / np.sqrt(measure.lambda1))


def heavy_mode(measure: Measure, start: np.ndarray | None = None) -> HeavyMode | None:
    """The mode of eq. (C.1), without the order statistic, with a heavy unit; None where it runs into v = 0."""
    starts = [heavy_start(measure, d) for d in STARTS] if start is None else [start]
    minima = np.array([minimise(measure.plain, at) for at in starts])
    x = minima[measure.plain(minima)[0].argmin()]
    states = measure.unpack(x[None])
    readout = float(abs(states.v[0, 0])) * np.sqrt(measure.lambda1) * float(np.exp(-0.5 * states.u[0]))
    if readout < crowd_edge(measure.width):
        return None
    energy = float(measure.plain(x[None])[0][0])
    sign, log_det = np.linalg.slogdet(hessian_at(measure.plain, x))
    if sign <= 0.0:
        return None
    below = others_below(np.array([readout]), measure.others).log[0]
    log_evidence = np.log(2.0 * measure.width) + below - energy - measure.constant
    log_evidence += 0.5 * len(x) * np.log(2.0 * np.pi) - 0.5 * log_det
    terms = measure.terms(states)
    spectrum = measure.problem.spectrum
    share = float(
        terms.contribution[0] @ spectrum.labels / (spectrum.dataset.y_train @ spectrum.dataset.y_train)
    )
    return HeavyMode(x, float(log_evidence), readout, share)


def lazy_log_evidence(measure: Measure) -> float:
    """Eq. (C.4) by the trapezoidal rule in ln Q."""
    spectrum, n, t = measure.problem.spectrum, measure.width, measure.temperature

    def energy(u: np.ndarray) -> np.ndarray:
        d = t + (np.exp(u) / measure.lambda1)[:, None] * spectrum.eigenvalues
        data = np.log(d).sum(axis=1) + (spectrum.label_energies / d).sum(axis=1)
        return 0.5 * (n * (np.exp(u) - u) + data)

    coarse = np.linspace(-12.0, 12.0, NODES)
    values = energy(coarse)
    inside = coarse[values < values.min() + SUPPORT]
    step = coarse[1] - coarse[0]
    u = np.linspace(inside[0] - step, inside[-1] + step, NODES)
    values = energy(u)
    lowest = values.min()
    integral = np.exp(lowest - values).sum() * (u[1] - u[0])
    constant = gammaln(0.5 * n) + 0.5 * n * np.log(2.0 / n)
    constant += 0.5 * spectrum.n_null * np.log(t) + 0.5 * spectrum.null_label_energy / t
    return float(np.log(integral) - lowest - constant)
