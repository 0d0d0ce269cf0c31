"""Draws of one hidden unit for the cavity (docs/cavity.md, section B.3).

Most draws come from a Gaussian that is wider than the prior along the signal (B.6); their features are mapped
linearly so that the first two moments under it are the exact ones (B.7). Where the unit's measure has a second
mode far out, a unit that carries a large part of the signal, some draws come from the Gaussian approximation
at that mode; both are weighted as one mixture (B.8), so that no single draw stands for the tail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from proplim.activations import Activation
from proplim.kernels import (
    RowSpace,
    feature_covariance,
    input_kernel_diagonal,
    mean_feature,
    mean_slope,
    row_space,
)
from proplim.theory._spectrum import Spectrum

MODE_SHARE = 0.25
"""Draws at the modes, relative to the central ones."""
NEAREST_MODE = 2.0
"""A maximum of the unit's density closer to the origin than this is covered by the central draws."""
FARTHEST_START = 6.0
"""Where along the signal the search for a mode starts; it climbs from there."""
LEAST_PRECISION = 0.3
"""Least precision of the Gaussian at a mode along any axis, the prior's being one."""


@dataclass(frozen=True)
class Problem:
    """What all points of a spectrum share: a root of C, test inputs split into row space and rest."""

    spectrum: Spectrum

    @property
    def activation(self) -> Activation:
        """Of the hidden units."""
        return self.spectrum.activation

    @cached_property
    def _row_space(self) -> RowSpace:
        return row_space(self.spectrum.dataset.x_train)

    @property
    def _scale(self) -> float:
        """h = scale x . z for whitened hidden weights z = sqrt(lambda0) w."""
        return 1.0 / np.sqrt(self.spectrum.lambda0 * self.spectrum.dataset.n_features)

    @cached_property
    def root(self) -> np.ndarray:
        """Root L of C = L L^T by falling singular value, (P, r)."""
        return self._row_space.coordinates * self._scale

    @property
    def basis(self) -> np.ndarray:
        """Basis of the row space of the training inputs, (N0, r)."""
        return self._row_space.basis

    @cached_property
    def slopes(self) -> np.ndarray:
        """E[sigma'] of the training inputs, (P,)."""
        x = self.spectrum.dataset.x_train
        return mean_slope(self.activation, input_kernel_diagonal(x, self.spectrum.lambda0))

    @cached_property
    def test_root(self) -> np.ndarray:
        """Test preactivations per unit of z in the row space, (P_test, r)."""
        return self._scale * self._row_space.inside(self.spectrum.dataset.x_test)

    @cached_property
    def test_rest(self) -> np.ndarray:
        """Root of the covariance that test preactivations keep given the training ones, (P_test, r')."""
        return self._scale * self._row_space.outside(self.spectrum.dataset.x_test)

    @cached_property
    def test_covariance(self) -> np.ndarray:
        """C among the test inputs, (P_test, P_test)."""
        x = self._scale * self.spectrum.dataset.x_test
        return x @ x.T


class Draws(NamedTuple):
    """Draws of one unit; the first `central` of them from N(0, 1 + kappa n n^T), the others from its modes.

    Averages over the unit are sums over all draws divided by `central`.
    """

    z: np.ndarray  # (S, r)
    features: np.ndarray  # (S, P), moments of the central ones matched
    log_ratio: np.ndarray  # (S,) ln of prior over mixture
    direction: np.ndarray  # n
    excess: float  # kappa
    central: int

    def control(self) -> np.ndarray:
        """One on central draws, whose exact moments are known, zero on the others, (S,)."""
        return (np.arange(len(self.z)) < self.central).astype(float)


def sobol_normals(n_draws: int, dimension: int, rng: np.random.Generator) -> np.ndarray:
    """Standard normals (n_draws, dimension): scrambled Sobol points, iid beyond their dimensions."""
    from scipy.special import ndtri
    from scipy.stats import qmc

    n_sobol = min(dimension, qmc.Sobol.MAXDIM)
    uniform = qmc.Sobol(n_sobol, rng=rng).random(n_draws)
    normals = ndtri(np.clip(uniform, 2.0**-33, 1.0 - 2.0**-33))
    if dimension > n_sobol:
        normals = np.concatenate([normals, rng.standard_normal((n_draws, dimension - n_sobol))], axis=1)
    return normals


def draw_central(problem: Problem, normals: np.ndarray, direction: np.ndarray, excess: float) -> Draws:
    """Draws from N(0, 1 + kappa n n^T), the best Sobol coordinate along n, features matched (B.6, B.7)."""
    norm = np.linalg.norm(direction)
    n = direction / norm if norm > 0 else np.eye(len(direction))[0]
    mirror = n.copy()
    mirror[0] -= 1.0  # the Householder reflection that takes the first coordinate axis to n
    square = mirror @ mirror
    z = normals if square < 1e-24 else normals - np.outer(normals @ mirror, mirror) * (2.0 / square)
    z = z + np.outer((np.sqrt(1.0 + excess) - 1.0) * normals[:, 0], n)
    features = problem.activation.function(z @ problem.root.T)
    matched = _matched(problem, features, n, excess)
    return Draws(z, matched, _central_log_ratio(z @ n, excess), n, excess, len(z))


def _central_log_ratio(along: np.ndarray, excess: float) -> np.ndarray:
    """ln prior over N(0, 1 + kappa n n^T) at draws with n.z = along."""
    return -0.5 * along**2 * excess / (1.0 + excess) + 0.5 * np.log1p(excess)


class Mode(NamedTuple):
    """Gaussian approximation of the unit's density at a maximum."""

    centre: np.ndarray  # (r,)
    axes: np.ndarray  # (r, r), columns
    precision: np.ndarray  # (r,)


def find_modes(problem: Problem, log_weight: Callable, direction: np.ndarray) -> list[Mode]:
    """Far maxima of ln weight(z) - |z|^2/2 along the signal, with their curvature; none is the usual case.

    Parameters
    ----------
    problem : Problem
    log_weight : callable
        z -> ln weight and its gradient, see :func:`proplim.theory._cavity_field.log_weight_at`.
    direction : (r,) array
        The signal, of any length.
    """
    from scipy.optimize import minimize

    norm = np.linalg.norm(direction)
    if not norm > 0.0:
        return []

    def objective(z: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = log_weight(z)
        return 0.5 * float(z @ z) - value, z - gradient

    start = FARTHEST_START * direction / norm
    modes = []
    for sign in (1.0,) if problem.activation.odd else (1.0, -1.0):
        found = minimize(objective, sign * start, jac=True, method="L-BFGS-B", options={"maxiter": 300})
        if np.isfinite(found.x).all() and np.linalg.norm(found.x) > NEAREST_MODE:
            modes.append(_curved(objective, found.x))
    if problem.activation.odd:
        modes += [Mode(-m.centre, m.axes, m.precision) for m in modes]
    return modes


def _curved(objective: Callable, centre: np.ndarray, step: float = 1e-3) -> Mode:
    rows = [
        (objective(centre + step * e)[1] - objective(centre - step * e)[1]) / (2.0 * step)
        for e in np.eye(len(centre))
    ]
    hessian = np.array(rows)
    precision, axes = np.linalg.eigh(0.5 * (hessian + hessian.T))
    return Mode(centre, axes, np.maximum(precision, LEAST_PRECISION))


def with_modes(problem: Problem, draws: Draws, modes: list[Mode], normals: np.ndarray) -> Draws:
    """Central draws and draws at the modes, weighted as one mixture (B.8)."""
    each = len(normals) // max(len(modes), 1)
    if not modes or not each:
        return draws
    parts = [normals[i * each : (i + 1) * each] for i in range(len(modes))]
    far = np.concatenate(
        [m.centre + (x / np.sqrt(m.precision)) @ m.axes.T for m, x in zip(modes, parts, strict=True)]
    )
    z = np.concatenate([draws.z, far])
    square = (z**2).sum(axis=1)
    at_modes = [
        0.5 * (square - ((z - m.centre) @ m.axes) ** 2 @ m.precision + np.log(m.precision).sum())
        for m in modes
    ]  # ln of mode over prior
    share = np.log(each / draws.central)
    central = -_central_log_ratio(z @ draws.direction, draws.excess)
    mixture = np.logaddexp(central, np.logaddexp.reduce(at_modes, axis=0) + share)
    features = np.concatenate([draws.features, problem.activation.function(far @ problem.root.T)])
    return draws._replace(z=z, features=features, log_ratio=-mixture)


def proposal_covariance(
    root1: np.ndarray, root2: np.ndarray, draws_n: np.ndarray, excess: float
) -> np.ndarray:
    return root1 @ root2.T + excess * np.outer(root1 @ draws_n, root2 @ draws_n)


def _matched(problem: Problem, features: np.ndarray, n: np.ndarray, excess: float) -> np.ndarray:
    """Map features linearly so that sample mean and covariance are the exact ones of the proposal (B.7)."""
    covariance = proposal_covariance(problem.root, problem.root, n, excess)
    variance = np.diag(covariance).copy()
    kernel = feature_covariance(problem.activation, covariance, variance[:, None], variance[None, :])
    mean = mean_feature(problem.activation, variance)
    centred = features - features.mean(axis=0)
    sample = centred.T @ centred / len(features)
    # the pseudo-square-roots keep the null space of duplicated inputs where it is
    return centred @ _power(sample, -0.5) @ _power(kernel - np.outer(mean, mean), 0.5) + mean


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    kept = values > 1e-13 * values[-1]
    powers = np.zeros_like(values)
    powers[kept] = values[kept] ** exponent
    return (vectors * powers) @ vectors.T
