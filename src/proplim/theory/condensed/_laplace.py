"""Heavy modes of the measure and the evidence of both phases (docs/condensed.md, eqs. 3-5)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from proplim.theory.condensed._measure import Measure, States, pack, unpack

FARTHEST_START = 8.0
HESSIAN_STEP = 1e-4
NEWTON_STEPS = 30
TOLERANCE = 1e-8


class HeavyMode(NamedTuple):
    """A minimum of U with v != 0, and the curvature there."""

    x: np.ndarray  # (r + 2,)
    energy: float
    hessian: np.ndarray
    log_evidence: float  # of one unit with one sign


def first_guess(measure: Measure) -> np.ndarray:
    """A unit aligned with the labels that carries most of them."""
    problem = measure.problem
    y = problem.spectrum.dataset.y_train
    direction = problem.root.T @ (problem.slopes * y)
    z = FARTHEST_START * direction / np.linalg.norm(direction)
    s = problem.activation.function(problem.root @ z)
    v = np.sqrt(measure.width) * (s @ y) / (s @ s)
    return np.concatenate([z, [v, np.log(0.5)]])


def descend(measure: Measure, x: np.ndarray) -> np.ndarray:
    """L-BFGS from x."""
    from scipy.optimize import minimize

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        energy, gradient, _ = measure.energy_and_gradient(unpack(x[None]))
        return float(energy[0]), pack(gradient)[0]

    found = minimize(
        objective,
        x,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 2000, "maxcor": 30, "ftol": 1e-13, "gtol": 1e-7},
    )
    return found.x


def hessian_at(measure: Measure, x: np.ndarray) -> np.ndarray:
    """Central differences of the gradient, all directions side by side."""
    steps = HESSIAN_STEP * np.eye(len(x))
    rows = np.concatenate([x + steps, x - steps])
    gradient = pack(measure.energy_and_gradient(unpack(rows))[1])
    hessian = (gradient[: len(x)] - gradient[len(x) :]) / (2.0 * HESSIAN_STEP)
    return 0.5 * (hessian + hessian.T)


def find_mode(measure, start):
    x = descend(measure, start)
    energy = float(measure.energy_and_gradient(unpack(x[None]))[0][0])
    hessian = hessian_at(measure, x)
    values = np.linalg.eigvalsh(hessian)
    log_det = np.log(np.maximum(values, 1e-12)).sum()
    log_evidence = -energy - measure.constant + 0.5 * len(x) * np.log(2 * np.pi) - 0.5 * log_det
    return HeavyMode(x, energy, hessian, log_evidence), values


def lazy_log_evidence(problem, T, N, l1):
    sp = problem.spectrum
    u = np.linspace(-4, 4, 4001)
    q = np.exp(u)
    D = T + (q / l1)[:, None] * sp.eigenvalues
    e = 0.5 * (N * (q - u) + np.log(D).sum(1) + (sp.labels**2 / D).sum(1))
    c = (
        gammaln(0.5 * N)
        + 0.5 * N * np.log(2 / N)
        + 0.5 * sp.n_null * np.log(T)
        + 0.5 * sp.null_label_energy / T
    )
    m = e.min()
    return -m - c + np.log(np.exp(m - e).sum() * (u[1] - u[0]))
