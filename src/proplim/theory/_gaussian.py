"""The infinite_width and proportional approximations of an odd activation (docs/theory.md, section 3)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from proplim.theory._blocks import Points
from proplim.theory._effective_action import effective_action, solve_order_parameter
from proplim.theory._energies import energies
from proplim.theory._rescaled import rescaled_states
from proplim.theory._spectrum import Spectrum
from proplim.theory._states import Solution


def solve_infinite_width(spectrum: Spectrum, points: Points) -> Solution:
    """Q = 1 in the predictor, prior features and weights; any activation, odd or not.

    Only the energies per hidden unit know the width, as 1/N: every (T, lambda1) is computed once, the energies
    at N = 1.
    """
    pairs, row = np.unique(points.temperature + 1j * points.lambda1, return_inverse=True)
    temperature, lambda1 = pairs.real.copy(), pairs.imag.copy()
    one, infinite = np.ones(len(pairs)), np.full(len(pairs), np.inf)
    unit = Points(temperature, one, lambda1)
    per_unit = energies(spectrum, unit, one, None)
    data_terms = effective_action(spectrum, one, *unit) - 1.0
    values = {name: value[row] / points.width for name, value in per_unit.items()}
    values["free_energy"] = 0.5 * (1.0 + data_terms[row] / points.width)
    values["order_parameter"] = np.ones(points.size)
    values["converged"] = np.isfinite(values["free_energy"]).astype(float)
    states = rescaled_states(spectrum, Points(temperature, infinite, lambda1), one)
    return Solution(values, (replace(states, rows=row),))


def solve_proportional(spectrum: Spectrum, points: Points) -> Solution:
    """The global minimum of the effective action."""
    solution = solve_order_parameter(spectrum, points)
    q = solution.order_parameter
    values = {
        **energies(spectrum, points, q, solution.curvature),
        "order_parameter": q,
        "free_energy": 0.5 * solution.action,
        "stationarity_residual": solution.residual,
        "stationary_points": solution.stationary_points,
        "action_gap": solution.action_gap,
        "converged": solution.converged.astype(float),
    }
    return Solution(values, (rescaled_states(spectrum, points, q),))
