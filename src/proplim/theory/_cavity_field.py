"""The field that the other units exert on one, and its self-consistency (docs/cavity.md, B.1 and B.2).

The state is the residual a and the covariance Omega of the outputs. On fixed draws the two defects of (B.4) are
smooth functions of it, with derivatives in closed form. Newton's method, its linear systems solved by GMRES in
the coordinates of (B.5) in which Sigma is one, finds the fixed point; the same systems give the derivative of
the solution with respect to temperature.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from proplim.theory._cavity_draws import Draws, Problem

STEPS = 16
KRYLOV = 60
"""Dimension of the Krylov space of a linear system."""
SHORTEST = 1.0 / 64.0
"""Shortest part of a Newton step that is tried."""


class Field(NamedTuple):
    """State of the iteration: residual a, Omega, and the point."""

    a: np.ndarray
    omega: np.ndarray
    temperature: float
    width: float
    lambda1: float


class Tilt(NamedTuple):
    """The unit's measure in a field, on the draws; primes stand for coordinates in which Sigma is one."""

    weights: np.ndarray  # (S,), summing to the number of central draws
    readout: np.ndarray  # <v|h>
    variance: np.ndarray  # 1/(lambda1 + b), the variance of v given h
    q: np.ndarray
    log_norm: float  # ln E_prior[weight]
    root: np.ndarray  # Sigma^(1/2)
    inverse_root: np.ndarray  # Sigma^(-1/2)
    features: np.ndarray  # s' = Sigma^(-1/2) s, (S, P)
    mean: np.ndarray  # <v s'>
    missing: np.ndarray  # defect of the equation of a, primed
    excess: np.ndarray  # defect of the equation of Omega, primed
    central: int

    @property
    def readout_sq(self) -> np.ndarray:
        """<v^2|h> (B.3)."""
        return self.variance + self.readout**2

    @property
    def inverse(self) -> np.ndarray:
        """Sigma^-1."""
        return self.inverse_root @ self.inverse_root

    @property
    def residual(self) -> float:
        """rho of section B.2: the defect of each mode in units of its own width."""
        square = self.missing @ self.missing + (self.excess**2).sum()
        return float(np.sqrt(square / len(self.missing)))


class Response(NamedTuple):
    """Derivative of state and weights along a change of the field."""

    a: np.ndarray  # a'
    sigma: np.ndarray  # Sigma', primed
    weights: np.ndarray


def tilt_of(draws: Draws, field: Field, y: np.ndarray) -> Tilt | None:
    """Weights (B.2), conditional moments of v (B.3) and defects of (B.4); None where Sigma is not positive."""
    n, t = field.width, field.temperature
    values, vectors = np.linalg.eigh(field.omega + t * np.eye(len(y)))
    if not values[0] > 0.0:
        return None
    root, inverse_root = (vectors * np.sqrt(values)) @ vectors.T, (vectors / np.sqrt(values)) @ vectors.T
    s = draws.features @ inverse_root
    q = s @ (root @ field.a) / np.sqrt(n)
    precision = field.lambda1 + np.einsum("ij,ij->i", s, s) / n
    readout = q / precision
    log_weight = draws.log_ratio - 0.5 * np.log(precision / field.lambda1) + 0.5 * q * readout
    top = log_weight.max()
    weights = np.exp(log_weight - top)
    mass = weights.sum() / draws.central
    weights /= mass
    mean, omega = _moments(s, weights * readout, weights * (1.0 / precision + readout**2), draws.central)
    omega -= np.outer(mean, mean)
    missing = inverse_root @ (y - t * field.a) - np.sqrt(n) * mean
    excess = omega - np.eye(len(y)) + t * (inverse_root @ inverse_root)
    log_norm = float(top + np.log(mass))
    return Tilt(
        weights, readout, 1.0 / precision, q, log_norm, root, inverse_root, s, mean, missing, excess,
        draws.central,
    )  # fmt: skip


def _moments(
    s: np.ndarray, first: np.ndarray, second: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    matrix = (s * second[:, None]).T @ s / count
    return first @ s / count, 0.5 * (matrix + matrix.T)


def _defect_response(
    tilt: Tilt, field: Field, a: np.ndarray, omega: np.ndarray, temperature: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Derivatives of both defects, and of the weights, along (a, Omega, T); primed coordinates (B.5)."""
    n, s, count = field.width, tilt.features, tilt.central
    inverse = tilt.inverse
    sigma = omega + temperature * inverse if temperature else omega
    d_b = -np.einsum("ij,ij->i", s @ sigma, s) / n
    # primes refer to the unmoved Sigma, so that a moves q, and Sigma only b
    d_q = s @ a / np.sqrt(n)
    d_variance = -(tilt.variance**2) * d_b
    d_readout = tilt.variance * d_q + tilt.q * d_variance
    d_log = tilt.readout * d_q - 0.5 * (tilt.variance + tilt.readout**2) * d_b
    d_weights = tilt.weights * (d_log - tilt.weights @ d_log / count)
    first = d_weights * tilt.readout + tilt.weights * d_readout
    second = d_weights * tilt.readout_sq
    second += tilt.weights * (d_variance + 2.0 * tilt.readout * d_readout)
    d_mean, d_omega = _moments(s, first, second, count)
    d_omega -= np.outer(d_mean, tilt.mean) + np.outer(tilt.mean, d_mean)
    explicit = field.temperature * (inverse @ a) + temperature * (tilt.inverse_root @ field.a)
    return -explicit - np.sqrt(n) * d_mean, d_omega - omega, d_weights


def _solve_linear(
    tilt: Tilt, field: Field, missing: np.ndarray, excess: np.ndarray, rtol: float
) -> tuple[np.ndarray, np.ndarray]:
    """Change of (a', Omega') that removes the defects to first order."""
    from scipy.sparse.linalg import LinearOperator, gmres

    size = len(missing)

    def product(x: np.ndarray) -> np.ndarray:
        a, omega, _ = _defect_response(tilt, field, x[:size], x[size:].reshape(size, size), 0.0)
        return -np.concatenate([a, omega.ravel()])

    operator = LinearOperator((size + size * size,) * 2, matvec=product, dtype=float)
    defect = np.concatenate([missing, excess.ravel()])
    x = gmres(operator, defect, rtol=rtol, restart=KRYLOV, maxiter=1)[0]
    omega = x[size:].reshape(size, size)
    return x[:size], 0.5 * (omega + omega.T)


def fixed_point(
    draws: Draws, y: np.ndarray, field: Field, tolerance: float
) -> tuple[Field, Tilt | None, float]:
    """Newton's method with shortened steps (B.5).

    Returns
    -------
    Field, Tilt or None, float
        The last state, and the length of the Newton step left there: the linearised distance to the
        solution in units of the width of the modes. It is infinite where no step made the residual smaller.
    """
    tilt = tilt_of(draws, field, y)
    for _ in range(STEPS):
        if tilt is None or not np.isfinite(tilt.residual):
            return field, None, np.inf
        a, omega = _solve_linear(
            tilt, field, tilt.missing, tilt.excess, float(np.clip(tilt.residual, 1e-4, 0.1))
        )
        length = float(np.sqrt((a @ a + (omega**2).sum()) / len(y)))
        if not np.isfinite(length):
            break
        if length < tolerance:
            return field, tilt, length
        moved = _shortened(draws, y, field, tilt, a, omega)
        if moved is None:
            break
        field, tilt = moved
    return field, tilt, np.inf


def _shortened(
    draws: Draws, y: np.ndarray, field: Field, tilt: Tilt, a: np.ndarray, omega: np.ndarray
) -> tuple[Field, Tilt] | None:
    """The longest tried part of a Newton step that keeps Sigma positive and reduces the residual."""
    lowest = float(np.linalg.eigvalsh(omega)[0])
    part = min(1.0, 0.9 / -lowest) if lowest < 0.0 else 1.0
    d_a, d_omega = tilt.inverse_root @ a, tilt.root @ omega @ tilt.root
    d_omega = 0.5 * (d_omega + d_omega.T)
    while part > SHORTEST:
        trial = field._replace(a=field.a + part * d_a, omega=field.omega + part * d_omega)
        moved = tilt_of(draws, trial, y)
        if moved is not None and moved.residual < (1.0 - 0.01 * part) * tilt.residual:
            return trial, moved
        part *= 0.5
    return None


def temperature_response(tilt: Tilt, field: Field) -> Response:
    """d/dT of the solution on its draws, by the implicit function theorem (B.16)."""
    zero = np.zeros_like(field.a), np.zeros_like(field.omega)
    missing, excess, weights = _defect_response(tilt, field, *zero, 1.0)
    a, omega = _solve_linear(tilt, field, missing, excess, 1e-6)
    weights = _defect_response(tilt, field, a, omega, 1.0)[2]
    return Response(tilt.inverse_root @ a, omega + tilt.inverse, weights)


def log_weight_at(problem: Problem, field: Field, tilt: Tilt) -> Callable:
    """z -> (ln weight(h), its gradient) for the search of modes; sigma' by central differences."""
    n, step, sigma = field.width, 1e-5, problem.activation.function
    a = tilt.root @ field.a / np.sqrt(n)

    def value(z: np.ndarray) -> tuple[float, np.ndarray]:
        h = problem.root @ z
        s = tilt.inverse_root @ sigma(h)
        precision = field.lambda1 + s @ s / n
        readout = (s @ a) / precision
        slope = readout * a - (1.0 / precision + readout**2) * s / n
        derivative = (sigma(h + step) - sigma(h - step)) / (2.0 * step)
        result = -0.5 * np.log(precision / field.lambda1) + 0.5 * readout * (s @ a)
        return float(result), problem.root.T @ ((tilt.inverse_root @ slope) * derivative)

    return value
