"""The other units: the cavity of one of them in the field of all (docs/condensed.md, section 4).

The n = N - k units beside the explicit ones see the labels y' that these leave, and none of their readouts exceeds
V, the smallest explicit |v|. Averages are over one unit in the field of all (docs/cavity.md, part B):

    weight(h, v) = exp( v q - v^2 (lambda1 + b)/2 ) on |v| < V,    q = a.s/sqrt(N),   b = s^T Sigma^-1 s/N
    y' = T a + (n/sqrt(N)) <v s>,     Sigma = T + (n/N) ( <v^2 s s^T> - <v s><v s>^T )               (C.6)

All of it is done in the eigenbasis of K.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proplim.theory._cavity_draws import Draws, draw_central
from proplim.theory.condensed._gaussian import Gaussian, Setting
from proplim.theory.condensed._newton import krylov_solution, shortened, unscaled
from proplim.theory.condensed._readouts import Readouts, bounded_readouts

RELAXATION, MOST_RELAXATIONS = 0.5, 12
"""Part of the defects that is a step, and the most such steps."""
NEAR = 0.05
"""Residual from which on Newton's method takes over."""
STEPS = 25
KRYLOV = 40
"""Dimension of the Krylov space of a linear system."""
JACOBIAN_DRAWS = 4096
"""Draws that the Jacobian is taken from at first."""
TOLERANCE = 3e-4
"""Accepted length of the Newton step left, in widths of the modes of Sigma; the last one times the fall of the residual
on it stands for it."""
LEAST_WEIGHT = 1e-3
"""Mean weight of these draws, of one on average, below which single other draws have it all."""
JACOBIAN_GROWTH = 4
"""How many times as many draws the Jacobian is taken from where a step with fewer has not helped."""


class UnitDraws(NamedTuple):
    """Draws of one unit in single precision, of equally many independent parts one after the other.

    Parameters
    ----------
    draws : Draws
    modes : (S, m) array
        U^T s.
    further : tuple of (S, n) arrays
        Features on every further set of inputs.
    parts : int
        Number of parts; moments of the features are exact in each.
    """

    draws: Draws
    modes: np.ndarray
    further: tuple[np.ndarray, ...] = ()
    parts: int = 1

    def part(self, index: int) -> UnitDraws:
        """One of the parts."""
        count = len(self.modes) // self.parts
        rows = slice(index * count, (index + 1) * count)
        z, features, log_ratio = (x[rows] for x in self.draws[:3])
        draws = self.draws._replace(z=z, features=features, log_ratio=log_ratio, central=count)
        return UnitDraws(draws, self.modes[rows], tuple(x[rows] for x in self.further))


class Cavity(NamedTuple):
    """A fixed point of eq. (C.6) on its draws."""

    unit: UnitDraws
    a: np.ndarray
    sigma: np.ndarray
    weights: np.ndarray  # sum to the number of draws
    readouts: Readouts
    q: np.ndarray
    precision: np.ndarray  # lambda1 + b

    @property
    def draws(self) -> Draws:
        return self.unit.draws

    @property
    def modes(self) -> np.ndarray:
        return self.unit.modes


class _Tilt(NamedTuple):
    """The unit's measure in a field; primes stand for coordinates in which Sigma is one."""

    weights: np.ndarray
    readouts: Readouts
    q: np.ndarray
    precision: np.ndarray  # lambda1 + b
    features: np.ndarray  # s', (S, m)
    mean: np.ndarray  # <v s'>
    missing: np.ndarray
    excess: np.ndarray
    root: np.ndarray  # Sigma = L L^T
    inverse_root: np.ndarray  # L^-1

    @property
    def residual(self) -> float:
        square = self.missing @ self.missing + (self.excess**2).sum()
        return float(np.sqrt(square / len(self.missing)))


def _tilt(setting: Setting, unit: UnitDraws, a: np.ndarray, omega: np.ndarray) -> _Tilt | None:
    """Weights, moments of v and defects of eq. (C.6); None where Sigma is not positive.

    Sums over draws are taken in single precision, which leaves 1e-5 of a width.
    """
    t, n = setting.temperature, setting.width
    size, count = len(a), len(unit.modes)
    try:
        root = np.linalg.cholesky(omega + t * np.eye(size))
    except np.linalg.LinAlgError:
        return None
    from scipy.linalg import solve_triangular

    inverse_root = solve_triangular(root, np.eye(size), lower=True)
    s = unit.modes @ inverse_root.T.astype(np.float32)
    q = (s @ (root.T @ a).astype(np.float32)).astype(float) / np.sqrt(n)
    precision = setting.lambda1 + np.einsum("ij,ij->i", s, s).astype(float) / n
    readouts = bounded_readouts(q, precision, setting.bound)
    log_weight = unit.draws.log_ratio + readouts.log_norm
    weights = np.exp(log_weight - log_weight.max())
    weights *= count / weights.sum()
    first, square = (np.asarray(weights * x, dtype=np.float32) for x in (readouts.mean, readouts.square))
    mean, second = (x.astype(float) for x in _moments(s, first, square))
    missing = inverse_root @ (setting.labels - t * a) - setting.part * np.sqrt(n) * mean
    excess = (
        setting.part * (second - np.outer(mean, mean)) - np.eye(size) + t * (inverse_root @ inverse_root.T)
    )
    return _Tilt(weights, readouts, q, precision, s, mean, missing, excess, root, inverse_root)


def _moments(s: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of first s and second s s^T; `second` is not negative, so that only half of a matrix is computed."""
    return first @ s / len(s), _gram(s, second)


def _gram(s: np.ndarray, weights: np.ndarray) -> np.ndarray:
    rooted = s * np.sqrt(weights)[:, None]
    return np.asarray(rooted.T @ rooted * s.dtype.type(1.0 / len(s)))


def _representatives(tilt: _Tilt, count: int) -> tuple[slice | np.ndarray, np.ndarray]:
    """`count` of the draws and their weights: taken as often as their part in the second moments of v asks for."""
    if count == len(tilt.weights):
        return slice(None), tilt.weights
    influence = tilt.weights * tilt.readouts.square
    reach = np.cumsum(influence)
    rows = np.searchsorted(reach, reach[-1] * (np.arange(count) + 0.5) / count)
    weights = 1.0 / tilt.readouts.square[rows]
    return rows, weights * (count / weights.sum())


def _newton_step(setting: Setting, tilt: _Tilt, draws: int, rtol: float) -> tuple[np.ndarray, np.ndarray]:
    """Change of (a', Omega') that removes the defects to first order, the Jacobian taken from the first draws."""
    n, part = setting.width, setting.part
    size = len(tilt.missing)
    # single precision is enough for the direction of a step
    rows, w = _representatives(tilt, draws)
    s, w = tilt.features[rows], w.astype(np.float32)
    r = Readouts(*(x[rows].astype(np.float32) for x in tilt.readouts))
    mean = w * r.mean @ s / draws
    inverse = (tilt.inverse_root @ tilt.inverse_root.T).astype(np.float32)
    base = w * r.square
    base_gram = _gram(s, base)

    def product(x: np.ndarray) -> np.ndarray:
        x = x.astype(np.float32)
        a, sigma = x[:size], x[size:].reshape(size, size)
        d_q = s @ a / np.sqrt(n)
        d_b = -np.einsum("ij,ij->i", s @ sigma, s) / n
        d_log = r.mean * d_q - 0.5 * r.square * d_b
        d_w = w * (d_log - w @ d_log / draws)
        first = d_w * r.mean + w * (r.variance * d_q - 0.5 * r.covariance * d_b)
        second = d_w * r.square + w * (r.covariance * d_q - 0.5 * r.square_variance * d_b)
        d_mean = first @ s / draws
        # with enough of the unchanged weights added none is negative, which halves the work
        added = max(float((-second / base).max()), 0.0)
        d_second = (
            _gram(s, np.maximum(second + np.float32(added) * base, 0.0)) - np.float32(added) * base_gram
        )
        d_second -= np.outer(d_mean, mean) + np.outer(mean, d_mean)
        d_a = setting.temperature * (inverse @ a) + part * np.sqrt(n) * d_mean
        return np.concatenate([d_a, (sigma - part * d_second).ravel()]).astype(float)

    x = krylov_solution(product, np.concatenate([tilt.missing, tilt.excess.ravel()]), rtol, KRYLOV)
    omega = x[size:].reshape(size, size)
    return x[:size], 0.5 * (omega + omega.T)


def draw_unit(
    setting: Setting,
    gaussian: Gaussian,
    normals: list[np.ndarray],
    excess: float,
) -> UnitDraws:
    """Draws of one unit, wider along the signal that `gaussian` leaves; they serve all labels of a point.

    `normals` holds those of every part, `excess` is the excess variance.
    """
    problem = setting.problem
    direction = problem.root.T @ (problem.slopes * (problem.spectrum.eigenvectors @ gaussian.a))
    parts = [draw_central(problem, x, direction, excess) for x in normals]
    z, features, log_ratio = (np.concatenate([part[i] for part in parts]) for i in range(3))
    single = features.astype(np.float32)
    draws = parts[0]._replace(
        z=z.astype(np.float32), features=single, log_ratio=log_ratio, central=len(log_ratio)
    )
    modes = single @ problem.spectrum.eigenvectors.astype(np.float32)
    return UnitDraws(draws, modes, parts=len(parts))


class Guess(NamedTuple):
    """Where Newton's method starts."""

    a: np.ndarray
    sigma: np.ndarray


def guess_beside(gaussian: Gaussian, known: Gaussian, cavity: Cavity) -> Guess:
    """The Gaussian solution, changed as much as the `known` one is by the cavity at other labels and the same draws."""
    return Guess(gaussian.a + cavity.a - known.a, gaussian.sigma + cavity.sigma - known.sigma)


def solve_cavity_of_others(
    setting: Setting,
    gaussian: Gaussian,
    unit: UnitDraws,
    guess: Guess | None = None,
    relative: float = 0.0,
) -> Cavity | None:
    """eq. (C.6) on given draws by Newton's method with shortened steps; None where it finds no solution.

    It starts from the guess where there is one that is positive, otherwise from the Gaussian solution. Far from the
    solution, where Newton's steps run into singular Jacobians, parts of the defects themselves are the steps.
    `relative` is how well the way from the guess has to be known, where that is all that is wanted.
    """
    eye = np.eye(len(gaussian.a))
    tilt = None
    if guess is not None:
        a, omega = guess.a, guess.sigma - setting.temperature * eye
        tilt = _tilt(setting, unit, a, omega)
    if tilt is None:
        a, omega = gaussian.a, gaussian.sigma - setting.temperature * eye
        tilt = _tilt(setting, unit, a, omega)
    for _ in range(MOST_RELAXATIONS):
        if tilt is None or not tilt.residual > NEAR:
            break
        d_a, d_omega = unscaled(tilt.root, tilt.missing, tilt.excess)
        a, omega = a + RELAXATION * d_a, omega + RELAXATION * d_omega
        tilt = _tilt(setting, unit, a, omega)
    count = len(unit.modes)
    jacobian_draws = min(JACOBIAN_DRAWS, count)
    tolerance = TOLERANCE
    for step in range(STEPS):
        if tilt is None or not np.isfinite(tilt.residual):
            return None
        if tilt.weights[:jacobian_draws].mean() < LEAST_WEIGHT:
            return None
        rtol = float(np.clip(tilt.residual, max(1e-3, 0.5 * relative), 0.1))
        d_a, d_omega = _newton_step(setting, tilt, jacobian_draws, rtol)
        length = float(np.sqrt((d_a @ d_a + (d_omega**2).sum()) / len(a)))
        if not np.isfinite(length):
            return None
        if step == 0:
            tolerance = max(TOLERANCE, relative * length)
        if length < tolerance:
            return _found(setting, unit, a, omega, tilt)
        moved = _moved(setting, unit, a, omega, tilt, (d_a, d_omega))
        if moved is None:
            if jacobian_draws == count:
                return None
            jacobian_draws = min(JACOBIAN_GROWTH * jacobian_draws, count)
            continue
        if moved[2].residual > 0.3 * tilt.residual:
            jacobian_draws = min(JACOBIAN_GROWTH * jacobian_draws, count)
        left = length * moved[2].residual / tilt.residual
        a, omega, tilt = moved
        if left < tolerance:
            return _found(setting, unit, a, omega, tilt)
    return None


def _found(setting: Setting, unit: UnitDraws, a: np.ndarray, omega: np.ndarray, tilt: _Tilt) -> Cavity:
    sigma = omega + setting.temperature * np.eye(len(a))
    return Cavity(unit, a, sigma, tilt.weights, tilt.readouts, tilt.q, tilt.precision)


def _moved(
    setting: Setting,
    unit: UnitDraws,
    a: np.ndarray,
    omega: np.ndarray,
    tilt: _Tilt,
    step: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, _Tilt] | None:
    """Where as much of a Newton step as keeps Sigma positive and reduces the residual leads to."""
    d_a, d_omega = step
    lowest = float(np.linalg.eigvalsh(d_omega)[0])
    longest = min(1.0, 0.9 / -lowest) if lowest < 0.0 else 1.0
    step_a, step_omega = unscaled(tilt.root, d_a, d_omega)

    def attempt(part: float) -> _Tilt | None:
        return _tilt(setting, unit, a + part * step_a, omega + part * step_omega)

    found = shortened(attempt, tilt.residual, longest)
    if found is None:
        return None
    part, there = found
    return a + part * step_a, omega + part * step_omega, there
