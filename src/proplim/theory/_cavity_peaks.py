"""T* of the cavity: the temperature of the largest class distance on common draws (docs/cavity.md, section B.7).

The draws of a replicate are the same at all temperatures, so that its D(T) is smooth, with the slope dD/dlnT in
closed form. Four replicates are followed down a ladder of temperatures that the kernel and lambda1 fix. Where the
mean slope has changed sign by more than its error, its zero is T*.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from proplim.geometry import contrast
from proplim.schema import SPLITS
from proplim.seeds import derive_seed
from proplim.theory._cavity import (
    LADDER,
    REPLICATES,
    Normals,
    Solution,
    State,
    draw_normals,
    features_of_tests,
    first_state,
    follow,
    kernel_of_tests,
    kernel_of_training,
    number_of_draws,
    weak_temperature,
)
from proplim.theory._cavity_draws import Problem
from proplim.theory._cavity_field import temperature_response
from proplim.theory._forms import prior_class_distance
from proplim.theory._peaks import peak_heights
from proplim.theory._spectrum import Spectrum

HOTTEST = 8.0
"""First rung, in units of a temperature at which the field on a unit is weak."""
RUNGS = 40
"""Longest ladder; where the cavity has no solution it ends earlier."""
SIGNIFICANT = 3.0
"""A slope has a sign where it exceeds this many of its standard errors."""
ACCURACY = 1e-3
"""ln T* is located to this accuracy on the draws."""
LOCATING_STEPS = 40
"""Most steps of regula falsi; about five are taken."""
LARGEST_ERROR = 0.25
"""Largest accepted standard error of ln T*."""


@dataclass(frozen=True)
class _Rung:
    """D and dD/dlnT of every replicate at one temperature, (replicates, splits), with the states to go on from."""

    log_temperature: float
    distance: np.ndarray
    slope: np.ndarray
    states: list[State]

    def sign(self, split: int) -> float:
        """Sign of the mean slope, zero where it is not significant."""
        mean, error = self.slope[:, split].mean(), self.error(split)
        return float(np.sign(mean)) if abs(mean) > SIGNIFICANT * error else 0.0

    def error(self, split: int) -> float:
        """Standard error of the mean slope."""
        return float(self.slope[:, split].std(ddof=1) / np.sqrt(len(self.slope)))


@dataclass(frozen=True)
class _Curve:
    """One curve D(T): a data set, width and lambda1."""

    problem: Problem
    width: float
    lambda1: float
    normals: list[Normals]
    seeds: list[int]

    def rung(self, log_temperature: float, states: list[State], hotter: float) -> _Rung | None:
        """Solve every replicate from states at ln T = `hotter`; None where one has no solution."""
        found = []
        step = float(np.exp(hotter)), float(np.exp(log_temperature))
        for normals, state, seed in zip(self.normals, states, self.seeds, strict=True):
            solved = follow(self.problem, normals, state, step, self.width, self.lambda1, final=True)
            if solved is None:
                return None
            found.append((*self._distance(solved[0], seed), solved[1]))
        distance, slope = (np.array([f[i] for f in found]) for i in (0, 1))
        return _Rung(log_temperature, distance, slope, [f[2] for f in found])

    def _distance(self, solution: Solution, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """D of training and test inputs, and dD/dlnT from the change of the weights with T (B.16)."""
        draws, field, tilt = solution
        spectrum = self.problem.spectrum
        change = temperature_response(tilt, field).weights * (field.temperature / draws.central)
        difference = contrast(spectrum.class_weights_train)
        kernel = kernel_of_training(self.problem, draws, tilt)
        found = [(difference @ kernel @ difference, change @ (draws.features @ difference) ** 2)]
        if spectrum.dataset.n_test:
            features = features_of_tests(self.problem, draws, np.random.default_rng(seed))
            difference = contrast(spectrum.class_weights_test)
            kernel = kernel_of_tests(self.problem, draws, tilt, features)
            found.append((difference @ kernel @ difference, change @ (features @ difference) ** 2))
        found += [(np.nan, np.nan)] * (len(SPLITS) - len(found))
        value, slope = np.array(found, dtype=float).T
        return value, slope


def find_cavity_peaks(spectrum: Spectrum, width: np.ndarray, lambda1: np.ndarray) -> dict[str, np.ndarray]:
    """T* of the cavity and its height over the prior (docs/cavity.md, section B.7).

    Parameters
    ----------
    spectrum : Spectrum
    width, lambda1 : (n,) arrays

    Returns
    -------
    dict of (n, splits) arrays
        The peak variables with dims (n, split), and `peak_temperature_mcse`. NaN where the slope of D does not
        change sign beyond its error as far down as the cavity has a solution. The height over the
        low-temperature value is NaN: the cavity does not reach that limit.
    """
    problem, prior = Problem(spectrum), prior_class_distance(spectrum)
    n = len(width)
    temperature, height, error = (np.full((n, len(SPLITS)), np.nan) for _ in range(3))
    for i in range(n):
        curve = _curve(problem, float(width[i]), float(lambda1[i]))
        temperature[i], height[i], error[i] = _peaks_of_curve(curve)
    unknown = np.full((n, len(SPLITS)), np.nan)
    return peak_heights(temperature, height, prior, unknown) | {"peak_temperature_mcse": error}


def _curve(problem: Problem, width: float, lambda1: float) -> _Curve:
    """Draws that depend on everything but the temperature."""
    spectrum = problem.spectrum
    point = {
        "dataset": spectrum.dataset.identity, "activation": spectrum.activation.name, "width": width,
        "lambda0": spectrum.lambda0, "lambda1": lambda1,
    }  # fmt: skip
    seeds = [derive_seed("cavity peak", {**point, "replicate": r}) for r in range(REPLICATES)]
    count = number_of_draws(spectrum.n_train)
    normals = [draw_normals(problem, count, np.random.default_rng(seed)) for seed in seeds]
    tests = [derive_seed("cavity peak test inputs", {**point, "replicate": r}) for r in range(REPLICATES)]
    return _Curve(problem, width, lambda1, normals, tests)


def _peaks_of_curve(curve: _Curve) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """T*, D(T*) and the standard error of T* for each kind of inputs."""
    unknown = np.full(len(SPLITS), np.nan)
    result = unknown, unknown.copy(), unknown.copy()
    weak = weak_temperature(curve.problem.spectrum, curve.lambda1)
    states = [first_state(curve.problem, curve.lambda1)] * REPLICATES
    falling: list[_Rung | None] = [None] * len(SPLITS)
    known = len(SPLITS) if curve.problem.spectrum.dataset.n_test else 1
    wanted = list(range(known))
    for k in range(RUNGS):
        at = float(np.log(HOTTEST * weak) - k * np.log(LADDER))
        rung = curve.rung(at, states, at + float(np.log(LADDER)))
        if rung is None or not wanted:
            break
        for split in list(wanted):
            sign, above = rung.sign(split), falling[split]
            if sign < 0.0:
                falling[split] = rung
            elif sign > 0.0 and above is not None:
                peak = _located(curve, above, rung, split)
                for array, value in zip(result, peak, strict=True):
                    array[split] = value
                wanted.remove(split)
        states = rung.states
    return result


def _located(curve: _Curve, hot: _Rung, cold: _Rung, split: int) -> tuple[float, float, float]:
    """The zero of the mean slope between two rungs by regula falsi (Illinois); NaN where it is too uncertain."""
    nothing = (np.nan, np.nan, np.nan)
    x = [hot.log_temperature, cold.log_temperature]
    f = [float(hot.slope[:, split].mean()), float(cold.slope[:, split].mean())]
    rung, last = cold, -1
    for _ in range(LOCATING_STEPS):
        at = (x[0] * f[1] - x[1] * f[0]) / (f[1] - f[0])
        found = curve.rung(at, hot.states, hot.log_temperature)
        if found is None:
            return nothing
        rung, value = found, float(found.slope[:, split].mean())
        side = 0 if value < 0.0 else 1
        moved = abs(at - x[side])
        x[side], f[side] = at, value
        if side == last:
            f[1 - side] *= 0.5
        last = side
        if moved < ACCURACY or abs(x[1] - x[0]) < ACCURACY:
            break
    rise = cold.slope[:, split].mean() - hot.slope[:, split].mean()
    curvature = rise / (cold.log_temperature - hot.log_temperature)
    error = rung.error(split) / abs(curvature)
    if not error < LARGEST_ERROR:
        return nothing
    t = float(np.exp(rung.log_temperature))
    return t, float(rung.distance[:, split].mean()), t * error
