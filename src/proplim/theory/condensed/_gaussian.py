"""The other units as Gaussian features, in the proportional theory and in the cavity (docs/condensed.md, section 4).

The n = N - k units beside the explicit ones see the labels y' that these leave, and none of their readouts exceeds
V. With Gaussian features the free energy of the proportional theory gives

    Sigma = T + g K,   a = Sigma^-1 y',   g = (n/N) <v^2>,   <v^2> of exp(-mu v^2/2) on |v| < V,
    mu = lambda1 + (1/N) [ tr(Sigma^-1 K) - a^T K a ]                                               (C.5)

The cavity (C.6) leaves out terms of relative order 1/N even where features are Gaussian. Its solution for Gaussian
features is what the cavity of the true features is compared with: the same terms are missing in both. Given v the
features of such a unit have the covariance (K^-1 + c Sigma^-1)^-1 with c = v^2/N; with E = (Sigma + c K)^-1

    weight(v) = exp( -lambda1 v^2/2 + c a^T K E Sigma a/2 ) det(1 + c Sigma^-1 K)^(-1/2)   on |v| < V,
    <s>_v = (v/sqrt(N)) K E Sigma a,      <s s^T>_v = K - c K E K + <s>_v <s>_v^T                   (C.12)

and every other average over the unit follows. All of it is done in the eigenbasis of K.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from proplim.theory._cavity_draws import Problem
from proplim.theory.condensed._newton import krylov_solution, shortened, unscaled
from proplim.theory.condensed._readouts import bounded_readouts

NODES = 48
"""Gauss-Legendre nodes in v."""
WIDEST = 16.0
"""Standard deviations of the prior beyond which no readout is."""
STEPS, KRYLOV, RTOL = 12, 30, 1e-2
"""Newton steps at most, dimension of the Krylov space of one, and how exactly its linear system is solved."""
TOLERANCE = 1e-4
"""Accepted length of a step, in widths of the modes of Sigma."""
DIFFERENCE = 1e-6
"""Length of the step of a difference, in these widths."""


class Setting(NamedTuple):
    """The other units of one point: labels that are left, and the largest readout."""

    problem: Problem
    temperature: float
    width: float
    lambda1: float
    labels: np.ndarray  # U^T y'
    bound: float  # V
    units: int = 1  # explicit ones
    null_labels: np.ndarray | float = 0.0  # the part of the labels outside the range of K, (P,)

    @property
    def kappa(self) -> np.ndarray:
        return self.problem.spectrum.eigenvalues

    @property
    def part(self) -> float:
        """n/N."""
        return (self.width - self.units) / self.width


class Proportional(NamedTuple):
    """Solution of eq. (C.5)."""

    square: float  # <v^2>
    a: np.ndarray
    widths: np.ndarray  # of Sigma


class Gaussian(NamedTuple):
    """Solution of the cavity (C.6) for Gaussian features, eq. (C.12).

    With k(x) = K(x, X) U, averages over a unit are <v s(x)> = k(x).pull/sqrt(N),
    <s(x) s(x')> = K(x, x') + k(x).rise k(x') and <v^2 s(x) s(x')> = <v^2> K(x, x') + k(x).square_rise k(x').
    """

    square: float  # <v^2>
    a: np.ndarray
    sigma: np.ndarray
    pull: np.ndarray  # (m,)
    rise: np.ndarray  # (m, m)
    square_rise: np.ndarray  # (m, m)


def solve_proportional(setting: Setting) -> Proportional | None:
    """eq. (C.5) at the minimum of its free energy: mu on a mesh, refined by regula falsi.

    None where there is none below the bound: the labels that are left would pull one more unit out of the crowd.
    """
    from scipy.optimize import brentq

    n_inverse, bound = 1.0 / setting.width, setting.bound
    kappa, energies, t = setting.kappa, setting.labels**2, setting.temperature

    def defect(log_square: float | np.ndarray, mu: np.ndarray) -> np.ndarray:
        g = setting.part * np.exp(log_square)
        d = t + np.multiply.outer(g, kappa)
        return setting.lambda1 + n_inverse * ((kappa / d).sum(-1) - (energies * kappa / d**2).sum(-1)) - mu

    def square_of(mu: np.ndarray) -> np.ndarray:
        return bounded_readouts(np.zeros_like(mu), mu, bound).square

    mu = setting.lambda1 * np.exp(np.linspace(-7.0, 9.0, 641))
    mu = mu[square_of(mu) > 0.0]
    log_square = np.log(square_of(mu))
    value = defect(log_square, mu)  # twice the slope of the free energy in <v^2>, per other unit
    square = np.exp(log_square)
    action = np.concatenate([[0.0], np.cumsum(0.5 * (value[1:] + value[:-1]) * np.diff(square))])
    # along falling mu the square grows: a minimum has slope negative before and positive after
    minima = np.nonzero((value[:-1] >= 0.0) & (value[1:] < 0.0))[0]
    if not len(minima):
        return None
    best = minima[np.argmin(action[minima])]
    root = brentq(
        lambda x: float(defect(np.log(square_of(np.array([x]))), np.array([x]))[0]),
        mu[best],
        mu[best + 1],
        xtol=1e-13,
    )
    square_v = float(square_of(np.array([root]))[0])
    widths = t + setting.part * square_v * kappa
    return Proportional(square_v, setting.labels / widths, widths)


class _Unit(NamedTuple):
    """One unit of Gaussian features in a field, in the coordinates B, B^T Sigma B = 1, that make K diagonal."""

    frame: np.ndarray  # B
    kappa: np.ndarray  # B^T K B
    field: np.ndarray  # B^T Sigma a

    def log_weight(self, v: np.ndarray, setting: Setting) -> np.ndarray:
        """Of eq. (C.12)."""
        c = np.multiply.outer(v * v, self.kappa) / setting.width
        energy = setting.lambda1 * v * v + np.log1p(c).sum(axis=-1)
        return -0.5 * (energy - (c / (1.0 + c)) @ self.field**2)


def _unit(setting: Setting, a: np.ndarray, root: np.ndarray) -> _Unit:
    """`root` is that of Sigma."""
    from scipy.linalg import solve_triangular

    scaled = solve_triangular(root, np.diag(np.sqrt(setting.kappa)), lower=True)
    kappa, axes = np.linalg.eigh(scaled @ scaled.T)
    frame = solve_triangular(root, axes, lower=True, trans="T")
    return _Unit(frame, np.maximum(kappa, 0.0), axes.T @ (root.T @ a))


@cache
def _legendre() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights."""
    return np.polynomial.legendre.leggauss(NODES)


class _Averages(NamedTuple):
    square: float
    pull: np.ndarray
    rise: np.ndarray
    square_rise: np.ndarray


def _averages(setting: Setting, unit: _Unit) -> _Averages:
    """Over v and the features given v."""
    x, w = _legendre()
    bound = min(setting.bound, WIDEST / np.sqrt(setting.lambda1))
    v = 0.5 * bound * (1.0 + x)
    log_weight = unit.log_weight(v, setting)
    p = w * np.exp(log_weight - log_weight.max())
    p /= p.sum()
    c = v * v / setting.width
    shrink = 1.0 / (1.0 + np.multiply.outer(c, unit.kappa))
    shifted = shrink * unit.field  # B^T E Sigma a and the like, one a node

    def second(weights: np.ndarray) -> np.ndarray:
        matrix = (shifted * weights[:, None]).T @ shifted - np.diag(weights @ shrink)
        return np.asarray(unit.frame @ matrix @ unit.frame.T)

    return _Averages(
        square=float(p @ v**2),
        pull=unit.frame @ ((p * v * v) @ shifted),
        rise=second(p * c),
        square_rise=second(p * c * v * v),
    )


class _Trial(NamedTuple):
    """A trial solution and what it lacks, in coordinates in which Sigma is one."""

    a: np.ndarray
    sigma: np.ndarray
    root: np.ndarray  # of Sigma
    missing: np.ndarray
    excess: np.ndarray
    averages: _Averages

    @property
    def defect(self) -> np.ndarray:
        return np.concatenate([self.missing, self.excess.ravel()])

    @property
    def residual(self) -> float:
        return float(np.linalg.norm(self.defect))

    def unscaled(self, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A step in these coordinates as one in (a, Sigma)."""
        size = len(self.a)
        return unscaled(self.root, step[:size], step[size:].reshape(size, size))


def _try(setting: Setting, a: np.ndarray, sigma: np.ndarray) -> _Trial | None:
    """None where Sigma is not positive."""
    from scipy.linalg import solve_triangular

    try:
        root = np.linalg.cholesky(sigma)
    except np.linalg.LinAlgError:
        return None
    found = _averages(setting, _unit(setting, a, root))
    kappa, t, part = setting.kappa, setting.temperature, setting.part
    mean = kappa * found.pull / np.sqrt(setting.width)  # <v s>
    second = found.square * np.diag(kappa) + kappa[:, None] * found.square_rise * kappa
    missing = setting.labels - t * a - part * np.sqrt(setting.width) * mean
    excess = t * np.eye(len(a)) + part * (second - np.outer(mean, mean)) - sigma
    missing, half = (solve_triangular(root, x, lower=True) for x in (missing, excess))
    return _Trial(a, sigma, root, missing, solve_triangular(root, half.T, lower=True), found)


def solve_gaussian(setting: Setting, start: Proportional) -> Gaussian | None:
    """The cavity of Gaussian features by Newton's method from the proportional theory; None where it fails."""
    trial = _try(setting, start.a, np.diag(start.widths))
    for _ in range(STEPS):
        if trial is None:
            return None
        step = _newton_step(setting, trial)
        found = _moved(setting, trial, step)
        if found is None:
            return None
        ratio = found.residual / trial.residual
        trial = found
        if np.linalg.norm(step) * ratio < TOLERANCE * np.sqrt(len(trial.a)):
            square, pull, rise, square_rise = trial.averages
            return Gaussian(square, trial.a, trial.sigma, pull, rise, square_rise)
    return None


def _newton_step(setting: Setting, trial: _Trial) -> np.ndarray:
    """The change, in the coordinates of `trial`, that removes the defects; the Jacobian by differences."""
    defect, size = trial.defect, len(trial.a)

    def product(step: np.ndarray) -> np.ndarray:
        part = DIFFERENCE * np.sqrt(size) / max(float(np.linalg.norm(step)), 1e-300)
        d_a, d_sigma = trial.unscaled(step)
        other = _try(setting, trial.a + part * d_a, trial.sigma + part * d_sigma)
        if other is None:
            return np.full_like(defect, np.nan)
        change = np.linalg.solve(trial.root, other.root)  # from the coordinates there to those here
        there = np.concatenate([change @ other.missing, (change @ other.excess @ change.T).ravel()])
        return np.asarray((defect - there) / part)

    return krylov_solution(product, defect, RTOL, KRYLOV)


def _moved(setting: Setting, trial: _Trial, step: np.ndarray) -> _Trial | None:
    """Where as much of a step as reduces the defects leads to."""
    d_a, d_sigma = trial.unscaled(step)

    def attempt(part: float) -> _Trial | None:
        return _try(setting, trial.a + part * d_a, trial.sigma + part * d_sigma)

    found = shortened(attempt, trial.residual)
    return found[1] if found is not None else None


def readout_log_density(setting: Setting, gaussian: Gaussian, v: np.ndarray) -> np.ndarray:
    """ln of the density of a readout, not normalised, with the fields of the solution."""
    return _unit(setting, gaussian.a, np.linalg.cholesky(gaussian.sigma)).log_weight(v, setting)
