"""The infinite_width and proportional approximations of an odd activation (docs/theory.md, section 3)."""

from __future__ import annotations

import numpy as np

from proplim.theory._blocks import Points
from proplim.theory._effective_action import effective_action, solve_order_parameter
from proplim.theory._energies import energies
from proplim.theory._observables import forms_of, predictor_and_weights
from proplim.theory._spectrum import Spectrum


def solve_infinite_width(spectrum: Spectrum, points: Points) -> dict[str, np.ndarray]:
    """Q = 1 in the predictor, prior features and weights; any activation, odd or not.

    Only the energies per hidden unit know the width, as 1/N: every (T, lambda1) is computed once, at N = 1.
    """
    pairs, index = np.unique(points.temperature + 1j * points.lambda1, return_inverse=True)
    one = np.ones(len(pairs))
    distinct = Points(pairs.real.copy(), one, pairs.imag.copy())
    values = predictor_and_weights(spectrum, forms_of(spectrum), distinct, one, feature_learning=False)
    values["order_parameter"] = values["converged"] = one
    per_unit = energies(spectrum, distinct, one, None)
    data_terms = effective_action(spectrum, one, *distinct) - 1.0
    result = {name: value[index] for name, value in values.items()}
    result |= {name: value[index] / points.width for name, value in per_unit.items()}
    result["free_energy"] = 0.5 * (1.0 + data_terms[index] / points.width)
    return result


def solve_proportional(spectrum: Spectrum, points: Points) -> dict[str, np.ndarray]:
    """The global minimum of the effective action and the observables there."""
    solution = solve_order_parameter(spectrum, points)
    q = solution.order_parameter
    result = predictor_and_weights(spectrum, forms_of(spectrum), points, q, feature_learning=True)
    result |= energies(spectrum, points, q, solution.curvature)
    result["order_parameter"] = q
    result["free_energy"] = 0.5 * solution.action
    result["stationarity_residual"] = solution.residual
    result["stationary_points"] = solution.stationary_points
    result["action_gap"] = solution.action_gap
    result["converged"] = solution.converged.astype(float)
    return result
