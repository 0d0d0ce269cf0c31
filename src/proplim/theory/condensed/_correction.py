"""What the cavity of the other units changes in every observable (docs/condensed.md, eq. C.8).

All are differences between the solutions of eqs. (C.6) and (C.5) at the same labels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proplim.kernels import mean_slope
from proplim.theory._cavity_draws import Draws
from proplim.theory.condensed._explicit import Direction
from proplim.theory.condensed._inputs import Inputs
from proplim.theory.condensed._others import Cavity, Gaussian, Setting

CONTROLS = (0.0, 0.3, 0.75, 1.4)
"""Excess variances along the signal at which the kernel is known, as control variates of <s s^T>."""


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


def correction(
    setting: Setting,
    gaussian: Gaussian,
    cavity: Cavity,
    sets: tuple[Inputs, ...],
    left: tuple[np.ndarray, ...],
    direction: Direction,
    noise: tuple[np.ndarray, ...],
) -> Correction:
    """Differences of all observables; `left` holds the labels of every input set that the explicit units leave."""
    spectrum = setting.problem.spectrum
    signal, signal_modes = direction
    w, r, count = cavity.weights, cavity.readouts, len(cavity.weights)
    root_n, lambda0 = np.sqrt(setting.width), spectrum.lambda0
    rise = (gaussian.a @ signal_modes) ** 2 - (signal_modes**2 / gaussian.widths).sum()
    gaussian_variance = gaussian.square / setting.width * rise
    gaussian_covariance = gaussian.square / root_n * (gaussian.a @ signal_modes)
    inverse = np.linalg.inv(cavity.sigma)
    return Correction(
        readout_square=float(w @ r.square / count) - gaussian.square,
        signal_covariance=_signal_covariance(setting, cavity, signal) / np.sqrt(lambda0) - gaussian_covariance,
        signal_variance=_signal_rise(cavity, signal) / lambda0 - gaussian_variance,
        inputs=tuple(
            _training(setting, gaussian, cavity, inverse, inputs) if i == 0
            else _test(setting, gaussian, cavity, inverse, inputs, sets[0], left[i], noise[i])
            for i, inputs in enumerate(sets)
        ),
    )  # fmt: skip


def _signal_rise(cavity: Cavity, signal: np.ndarray) -> float:
    """<(z.u)^2> - |u|^2; the weights are nearly constant, and only their variation is left to the sample."""
    draws = cavity.draws
    along = draws.z @ signal
    prior = draws.excess * (signal @ draws.direction) ** 2
    return float(prior + (cavity.weights - 1.0) @ along**2 / len(along))


def _signal_covariance(setting: Setting, cavity: Cavity, signal: np.ndarray) -> float:
    """<v (z.u)>, with the mean of the draws' q (z.u) known."""
    draws, problem, count = cavity.draws, setting.problem, len(cavity.weights)
    along = draws.z @ signal
    q = cavity.modes @ cavity.a / np.sqrt(setting.width)
    tilted = signal + draws.excess * (signal @ draws.direction) * draws.direction
    variance = (problem.root**2).sum(axis=1) + (problem.root @ draws.direction) ** 2 * draws.excess
    slopes = mean_slope(problem.activation, variance)
    field = problem.spectrum.eigenvectors @ cavity.a
    known = (field * slopes) @ (problem.root @ tilted) / np.sqrt(setting.width)
    first = cavity.weights * cavity.readouts.mean
    level = (first @ q) / max(q @ q, 1e-300)
    return float(level * known + (first - level * q) @ along / count)


def _tilt(draws: Draws, excess: float) -> np.ndarray:
    """Density of N(0, 1 + excess n n^T) over that of the draws."""
    square = (draws.z @ draws.direction) ** 2
    precision = 1.0 / (1.0 + excess) - 1.0 / (1.0 + draws.excess)
    return np.asarray(np.exp(-0.5 * precision * square) * np.sqrt((1.0 + draws.excess) / (1.0 + excess)))


def _kernel_change(
    setting: Setting, gaussian: Gaussian, cavity: Cavity, inputs: Inputs, features: np.ndarray
) -> np.ndarray:
    """<s s^T> of a unit, cavity less Gaussian."""
    draws, count = cavity.draws, len(cavity.weights)
    tilts = np.stack([_tilt(draws, excess) for excess in CONTROLS], axis=1)
    levels = np.linalg.lstsq(tilts, cavity.weights, rcond=None)[0]
    rest = cavity.weights - tilts @ levels
    known = [
        level * inputs.wide_kernel(draws.direction, e) for level, e in zip(levels, CONTROLS, strict=True)
    ]
    second = np.sum(known, axis=0) - inputs.kernel
    second += (features * rest[:, None]).T @ features / count
    matrix = np.outer(gaussian.a, gaussian.a) - np.diag(1.0 / gaussian.widths)
    return np.asarray(second - gaussian.square / setting.width * (inputs.modes @ matrix @ inputs.modes.T))


def _training(
    setting: Setting, gaussian: Gaussian, cavity: Cavity, inverse: np.ndarray, inputs: Inputs
) -> CorrectionInputs:
    basis, t = setting.problem.spectrum.eigenvectors, setting.temperature
    change = np.diag(1.0 / gaussian.widths) - inverse  # Var f = T - T^2 Sigma^-1
    variance = t * t * np.einsum("ik,kl,il->i", basis, change, basis, optimize=True)
    residual, before = t * (basis @ cavity.a), t * (basis @ gaussian.a)
    left = setting.null_labels
    square = (left + residual) ** 2 - (left + before) ** 2 + variance
    return CorrectionInputs(
        before - residual, square, _kernel_change(setting, gaussian, cavity, inputs, cavity.draws.features)
    )


def _test(
    setting: Setting,
    gaussian: Gaussian,
    cavity: Cavity,
    inverse: np.ndarray,
    inputs: Inputs,
    train: Inputs,
    left: np.ndarray,
    noise: np.ndarray,
) -> CorrectionInputs:
    """Predictor (B.11, B.12) and kernel; the kernel of the proposal is a control variate throughout."""
    basis, root_n, part = setting.problem.spectrum.eigenvectors, np.sqrt(setting.width), setting.part
    count = len(cavity.weights)
    features = inputs.features(cavity.draws.z, noise)
    cross = inputs.proposal_cross_kernel(cavity.draws, train) @ basis
    q = cavity.modes @ cavity.a / root_n
    first = cavity.weights * cavity.readouts.mean
    level = (first @ q) / max(q @ q, 1e-300)
    mean = level * (cross @ cavity.a) / root_n + features.T @ (first - level * q) / count  # <v sigma(h(x))>
    second = cavity.weights * cavity.readouts.square
    level = second.mean()
    rest = second - level
    train_mean = first @ cavity.modes / count
    omega = level * cross + (features * rest[:, None]).T @ cavity.modes / count - np.outer(mean, train_mean)
    diagonal = np.diag(inputs.wide_kernel(cavity.draws.direction, cavity.draws.excess))
    omega_diagonal = level * diagonal + rest @ features**2 / count - mean**2
    f = part * root_n * mean
    variance = part * omega_diagonal - part**2 * np.einsum(
        "ik,kl,il->i", omega, inverse, omega, optimize=True
    )
    g = part * gaussian.square
    f_before = g * (inputs.modes @ gaussian.a)
    before = g * np.diag(inputs.kernel) - g**2 * (inputs.modes**2 @ (1.0 / gaussian.widths))
    square = (left - f) ** 2 - (left - f_before) ** 2 + variance - before
    return CorrectionInputs(f - f_before, square, _kernel_change(setting, gaussian, cavity, inputs, features))
