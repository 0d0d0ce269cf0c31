"""What the cavity of the other units changes in every observable (docs/condensed.md, eq. C.8).

All are differences between the cavities of true and of Gaussian features, eqs. (C.6) and (C.12), at the same labels.
The weights of the draws are regressed on ratios of Gaussian densities, wider by CONTROLS along the signal, under which
all averages are known; only what is left is summed over the draws.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proplim.kernels import mean_slope
from proplim.theory._cavity_draws import Draws, Problem
from proplim.theory.condensed._explicit import Direction
from proplim.theory.condensed._gaussian import Gaussian, Setting
from proplim.theory.condensed._inputs import Inputs
from proplim.theory.condensed._others import Cavity

CONTROLS = (0.0, 0.1, 0.3, 1.0)
"""Excess variances along the signal at which averages are known, as control variates, in those of the draws."""


class Known(NamedTuple):
    """Averages under the Gaussians of CONTROLS, one of each a Gaussian, for one direction of the draws."""

    kernels: tuple[np.ndarray, ...]  # of every set of inputs, (C, n, n)
    crosses: tuple[np.ndarray, ...]  # <s(x) s(X)> U of every set, (C, n, m)
    along: np.ndarray  # <(z.u)^2> - |u|^2, (C,)
    fields: np.ndarray  # U^T <s (z.u)>, (C, m)


class _Weights(NamedTuple):
    """Weights of draws as a sum of known density ratios, levels, and what is left of them."""

    levels: np.ndarray
    rest: np.ndarray


class CorrectionInputs(NamedTuple):
    """Differences on one set of inputs."""

    mean: np.ndarray  # of f, (n,)
    square: np.ndarray  # of <(y - f)^2>, (n,)
    kernel: np.ndarray  # of a unit's <s s^T>, (n, n)


class Correction(NamedTuple):
    """Differences at one share of the explicit units, for one set of draws."""

    readout_square: float
    signal_covariance: float
    signal_variance: float
    inputs: tuple[CorrectionInputs, ...]


def known_averages(problem: Problem, sets: tuple[Inputs, ...], direction: Direction, draws: Draws) -> Known:
    """Averages that the corrections from draws with this direction use."""
    n, signal = draws.direction, direction.signal
    basis, root = problem.spectrum.eigenvectors, problem.root
    overlap, excesses = float(signal @ n), [part * draws.excess for part in CONTROLS]
    variance, along = (root**2).sum(axis=1), root @ n
    return Known(
        kernels=tuple(np.stack([inputs.wide_kernel(n, e) for e in excesses]) for inputs in sets),
        crosses=tuple(
            np.stack([inputs.wide_cross_kernel(n, e, sets[0]) @ basis for e in excesses]) for inputs in sets
        ),
        along=np.array([e * overlap**2 for e in excesses]),
        fields=np.stack(
            [
                (
                    mean_slope(problem.activation, variance + e * along**2)
                    * (root @ (signal + e * overlap * n))
                )
                @ basis
                for e in excesses
            ]
        ),
    )


def correction(
    setting: Setting,
    gaussian: Gaussian,
    cavity: Cavity,
    sets: tuple[Inputs, ...],
    left: tuple[np.ndarray, ...],
    direction: Direction,
    known: Known,
) -> Correction:
    """Differences of all observables; `left` holds the labels of every input set that the explicit units leave."""
    signal, signal_modes = direction
    root_n, lambda0 = np.sqrt(setting.width), setting.problem.spectrum.lambda0
    gaussian_variance = signal_modes @ gaussian.rise @ signal_modes
    gaussian_covariance = gaussian.pull @ signal_modes / root_n
    inverse = np.linalg.inv(cavity.sigma)
    ratios = np.stack([density_ratio(cavity.draws, part * cavity.draws.excess) for part in CONTROLS], axis=1)
    weights = _regressed(ratios, cavity.weights)
    q = (cavity.modes @ cavity.a / root_n).astype(float)
    first = _regressed(ratios * q[:, None], cavity.weights * cavity.readouts.mean)
    second = _regressed(ratios, cavity.weights * cavity.readouts.square)
    count = len(q)
    along = cavity.draws.z @ signal
    covariance = first.levels @ known.fields @ cavity.a / root_n + first.rest @ along / count
    variance = weights.levels @ known.along + (weights.levels.sum() - 1.0) * (signal @ signal)
    variance += weights.rest @ along**2 / count
    single = weights.rest.astype(np.float32)
    kernels = [
        _kernel_change(setting, gaussian, inputs, features, single, weights.levels, kernel)
        for inputs, features, kernel in zip(sets, _features(cavity), known.kernels, strict=True)
    ]
    inputs = [_training(setting, gaussian, cavity, inverse, kernels[0])]
    for i in range(1, len(sets)):
        predictor = _Predictor(
            known.crosses[i], np.diagonal(known.kernels[i], axis1=1, axis2=2), first, second
        )
        inputs.append(
            _test(
                setting,
                gaussian,
                cavity,
                inverse,
                sets[i],
                left[i],
                predictor,
                _features(cavity)[i],
                kernels[i],
            )
        )
    return Correction(
        readout_square=float(cavity.weights @ cavity.readouts.square / count) - gaussian.square,
        signal_covariance=float(covariance) / np.sqrt(lambda0) - gaussian_covariance,
        signal_variance=float(variance) / lambda0 - gaussian_variance,
        inputs=tuple(inputs),
    )


def _features(cavity: Cavity) -> tuple[np.ndarray, ...]:
    """On every set of inputs."""
    return (cavity.draws.features, *cavity.unit.further)


def density_ratio(draws: Draws, excess: float) -> np.ndarray:
    """Density of N(0, 1 + excess n n^T) over that of the draws."""
    square = (draws.z @ draws.direction).astype(float) ** 2
    precision = 1.0 / (1.0 + excess) - 1.0 / (1.0 + draws.excess)
    return np.asarray(np.exp(-0.5 * precision * square) * np.sqrt((1.0 + draws.excess) / (1.0 + excess)))


def _regressed(controls: np.ndarray, values: np.ndarray) -> _Weights:
    levels = np.linalg.lstsq(controls, values, rcond=None)[0]
    return _Weights(levels, values - controls @ levels)


def _kernel_change(
    setting: Setting,
    gaussian: Gaussian,
    inputs: Inputs,
    features: np.ndarray,
    rest: np.ndarray,
    levels: np.ndarray,
    known: np.ndarray,
) -> np.ndarray:
    """<s s^T> of a unit, cavity less Gaussian."""
    second = np.tensordot(levels, known, 1) - inputs.kernel
    second += (features * rest[:, None]).T @ features / len(features)
    return np.asarray(second - inputs.modes @ gaussian.rise @ inputs.modes.T)


def _training(
    setting: Setting, gaussian: Gaussian, cavity: Cavity, inverse: np.ndarray, kernel: np.ndarray
) -> CorrectionInputs:
    basis, t = setting.problem.spectrum.eigenvectors, setting.temperature
    change = np.linalg.inv(gaussian.sigma) - inverse  # Var f = T - T^2 Sigma^-1
    variance = t * t * np.einsum("ik,kl,il->i", basis, change, basis, optimize=True)
    residual, before = t * (basis @ cavity.a), t * (basis @ gaussian.a)
    left = setting.null_labels
    square = (left + residual) ** 2 - (left + before) ** 2 + variance
    return CorrectionInputs(before - residual, square, kernel)


class _Predictor(NamedTuple):
    """What <v sigma> and <v^2 sigma s> of one set of inputs are made of."""

    crosses: np.ndarray  # (C, n, m)
    diagonals: np.ndarray  # <sigma^2>, (C, n)
    first: _Weights  # weights times <v>, on density ratios times q
    second: _Weights  # weights times <v^2>, on density ratios


def _test(
    setting: Setting,
    gaussian: Gaussian,
    cavity: Cavity,
    inverse: np.ndarray,
    inputs: Inputs,
    left: np.ndarray,
    predictor: _Predictor,
    features: np.ndarray,
    kernel: np.ndarray,
) -> CorrectionInputs:
    """Predictor (B.11, B.12)."""
    root_n, part, count = np.sqrt(setting.width), setting.part, len(features)
    first, second = predictor.first, predictor.second
    cross = np.tensordot(first.levels, predictor.crosses, 1)
    mean = cross @ cavity.a / root_n + first.rest.astype(np.float32) @ features / count  # <v sigma(h(x))>
    train_mean = (cavity.weights * cavity.readouts.mean).astype(np.float32) @ cavity.modes / count
    rest = second.rest.astype(np.float32)
    omega = np.tensordot(second.levels, predictor.crosses, 1) - np.outer(mean, train_mean)
    omega += (features * rest[:, None]).T @ cavity.modes / count
    diagonal = second.levels @ predictor.diagonals + rest @ features**2 / count - mean**2
    f = part * root_n * mean
    variance = part * diagonal - part**2 * np.einsum("ik,kl,il->i", omega, inverse, omega, optimize=True)
    f_before, before = _gaussian_predictor(setting, gaussian, inputs)
    square = (left - f) ** 2 - (left - f_before) ** 2 + variance - before
    return CorrectionInputs(f - f_before, square, kernel)


def _gaussian_predictor(
    setting: Setting, gaussian: Gaussian, inputs: Inputs
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of f."""
    modes, kappa, part = inputs.modes, setting.kappa, setting.part
    mean = modes @ gaussian.pull / np.sqrt(setting.width)  # <v sigma(h(x))>
    omega = gaussian.square * modes + (modes @ gaussian.square_rise) * kappa
    omega -= np.outer(mean, kappa * gaussian.pull / np.sqrt(setting.width))
    diagonal = gaussian.square * np.diag(inputs.kernel) - mean**2
    diagonal += np.einsum("ik,kl,il->i", modes, gaussian.square_rise, modes, optimize=True)
    reached = omega @ np.linalg.inv(gaussian.sigma)
    return part * np.sqrt(setting.width) * mean, part * diagonal - part**2 * (reached * omega).sum(axis=1)
