"""The infinite_width and proportional approximations of C outputs (docs/multiclass.md)."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from proplim.theory._blocks import Points
from proplim.theory._spectrum import Spectrum
from proplim.theory._states import Solution
from proplim.theory.outputs._action import At, Problem
from proplim.theory.outputs._minimum import Minimum, find_minimum, is_stationary
from proplim.theory.outputs._state import outputs_states

PROVED = "global_minimum_proved"
"""Evidence of the matrix order parameter, beside `stationarity_residual`."""


class OutputsSolution(NamedTuple):
    """Order parameters of n grid points, Q = R diag(w) R^T.

    Parameters
    ----------
    eigenvalues : (n, C) array
        w, descending.
    basis : (n, C, C) array
        R.
    values : dict of (n,) arrays
        Order parameter, energies and evidence by variable name.
    """

    eigenvalues: np.ndarray
    basis: np.ndarray
    values: dict[str, np.ndarray]


def problem_at(spectrum: Spectrum, temperature: float, width: float, lambda1: float) -> Problem:
    """What the action is made of at one grid point."""
    return Problem(
        spectrum.eigenvalues / lambda1,
        spectrum.labels,
        spectrum.null_label_energy,
        spectrum.n_null,
        float(temperature),
        float(width),
    )


def solve_order_parameters(spectrum: Spectrum, points: Points) -> OutputsSolution:
    """The global minimum of the action of every point, each by itself: no point's numbers depend on others."""
    found = [find_minimum(problem_at(spectrum, *point)) for point in zip(*points, strict=True)]
    values = [_values(minimum) for minimum in found]
    return OutputsSolution(
        np.stack([m.at.eigenvalues for m in found]),
        np.stack([m.at.basis for m in found]),
        {name: np.array([v[name] for v in values]) for name in values[0]},
    )


def solve_proportional_outputs(spectrum: Spectrum, points: Points) -> Solution:
    """The global minimum of the effective action of the matrix order parameter."""
    solution = solve_order_parameters(spectrum, points)
    states = outputs_states(spectrum, points, solution.eigenvalues, solution.basis)
    return Solution(solution.values, (states,))


def solve_infinite_width_outputs(spectrum: Spectrum, points: Points) -> Solution:
    """Q = I in the predictor, prior features and weights; any activation.

    Only the energies per hidden unit know the width, as 1/N: every (T, lambda1) is computed once, at N = 1.
    """
    pairs, row = np.unique(points.temperature + 1j * points.lambda1, return_inverse=True)
    temperature, lambda1 = pairs.real.copy(), pairs.imag.copy()
    at = [
        At.isotropic(problem_at(spectrum, t, 1.0, l1), 1.0)
        for t, l1 in zip(temperature, lambda1, strict=True)
    ]
    per_unit = [energies(a, following=False) for a in at]
    values = {name: np.array([e[name] for e in per_unit])[row] / points.width for name in per_unit[0]}
    prior = float(at[0].problem.n_outputs)
    values["free_energy"] = 0.5 * (prior + np.array([a.action - prior for a in at])[row] / points.width)
    values["order_parameter"] = np.ones(points.size)
    values["converged"] = np.isfinite(values["free_energy"]).astype(float)
    eigenvalues = np.stack([a.eigenvalues for a in at])
    basis = np.stack([a.basis for a in at])
    infinite = np.full(len(pairs), np.inf)
    states = outputs_states(spectrum, Points(temperature, infinite, lambda1), eigenvalues, basis)
    return Solution(values, (replace(states, rows=row),))


def energies(at: At, *, following: bool) -> dict[str, float]:
    """Energies per hidden unit and their temperature derivatives, as :func:`proplim.theory._energies.energies`.

    Parameters
    ----------
    at : At
    following : bool
        Whether Q follows the temperature; at infinite width it is held fixed.
    """
    p = at.problem
    t, n = p.temperature, p.width
    missed = float(((at.left * at.labels) ** 2).sum()) + p.null_energy
    left = float(at.left.sum()) + p.n_null * p.n_outputs
    # d<E>/dlnT at fixed Q, and what Q adds: (T^2/2) g.H^-1 g with the change g of the gradient with T, both positive.
    fixed = (at.labels**2 * at.learned * at.left**2).sum() / n + 0.5 * t * (at.learned**2).sum() / n
    moved = -0.5 * t * float((at.temperature_gradient * at.response).sum()) if following else 0.0
    return {
        "mean_energy": (missed + t * float(at.learned.sum())) / (2.0 * n),
        "free_energy_temperature_derivative": (left - missed / t) / (2.0 * n * t),
        "mean_energy_temperature_derivative": float(fixed) / t + moved / t,
    }


def _values(minimum: Minimum) -> dict[str, float]:
    at = minimum.at
    finite = np.isfinite(at.action)
    stationary = energies(at, following=is_stationary(at))
    return {
        **stationary,
        "order_parameter": float(at.eigenvalues.mean()),
        "free_energy": 0.5 * at.action,
        "stationarity_residual": at.residual,
        PROVED: float(minimum.proved),
        "converged": float(minimum.converged and finite),
    }
