"""The infinite_width and proportional approximations of an odd activation (docs/theory.md, section 3)."""

from __future__ import annotations

import numpy as np

from proplim.theory._blocks import Points
from proplim.theory._effective_action import effective_action, solve_order_parameter
from proplim.theory._observables import predictor_and_weights
from proplim.theory._spectrum import Spectrum


def solve_infinite_width(spectrum: Spectrum, points: Points) -> dict[str, np.ndarray]:
    """Q = 1 in the predictor, prior features and weights; any activation, odd or not.

    Only the free energy per unit knows the width, so every distinct (T, lambda1) is computed once.
    """
    pairs, index = np.unique(np.stack([points.temperature, points.lambda1], axis=1), axis=0, return_inverse=True)
    one = np.ones(len(pairs))
    distinct = Points(np.ascontiguousarray(pairs[:, 0]), one, np.ascontiguousarray(pairs[:, 1]))
    values = predictor_and_weights(spectrum, distinct, one, feature_learning=False)
    result = {name: value[index.ravel()] for name, value in values.items()}
    result["order_parameter"] = np.ones(points.size)
    result["free_energy"] = 0.5 * effective_action(spectrum, np.ones(points.size), *points)
    result["converged"] = np.ones(points.size)
    return result


def solve_proportional(spectrum: Spectrum, points: Points) -> dict[str, np.ndarray]:
    """The global minimum of the effective action and the observables there."""
    solution = solve_order_parameter(spectrum, points)
    result = predictor_and_weights(spectrum, points, solution.order_parameter, feature_learning=True)
    result["order_parameter"] = solution.order_parameter
    result["free_energy"] = 0.5 * solution.action
    result["stationarity_residual"] = solution.residual
    result["stationary_points"] = solution.stationary_points
    result["action_gap"] = solution.action_gap
    result["converged"] = solution.converged.astype(float)
    return result
