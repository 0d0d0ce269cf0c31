"""Where chains start: in the prior, or with one heavy unit.

Below a temperature T_c one unit carries a finite share of the labels; the transition is of first order
(docs/theory.md, section 9), and chains that all come from one side of it may agree with each other in the wrong phase.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from proplim.sampling._target import Problem

PRIOR, HEAVY = "prior", "heavy unit"
"""Kinds of start: cooled from a draw of the prior; a heavy unit put into such a draw at low temperature, and heated."""
RIDGE = 0.3
"""Ridge of the regression that finds the heavy unit's weights, in units of the mean of C's diagonal."""
HEAVY_SIZE = 1.0
"""Root mean square of the heavy unit's preactivations on the training inputs."""
LONGEST = 2.0
"""Longest weights of the heavy unit, in units of the prior's sqrt(r)."""


def kind_of_start(chain: int, chains: int) -> str:
    """The first half of the chains starts in the prior, the others with a heavy unit."""
    return HEAVY if chain >= chains - chains // 2 else PRIOR


def with_heavy_unit(problem: Problem, hidden: Any) -> np.ndarray:
    """Hidden weights Z of shape (r, N) whose first unit is aligned with the labels.

    Its weights are the ridge regression of y on the whitened inputs, scaled to preactivations of order one; its
    readout is integrated out and finds its own value.
    """
    inputs, y = np.asarray(problem.inputs_train), np.asarray(problem.y_train)
    covariance = inputs @ inputs.T
    ridge = max(RIDGE * np.trace(covariance) / len(y), np.finfo(float).tiny)
    weights = inputs.T @ np.linalg.solve(covariance + ridge * np.eye(len(y)), y)
    size = np.sqrt(np.mean((inputs @ weights) ** 2))
    planted = np.array(hidden)
    if np.isfinite(size) and size > 0:
        scale = min(HEAVY_SIZE / size, LONGEST * np.sqrt(len(weights)) / np.linalg.norm(weights))
        planted[:, 0] = scale * weights
    return planted
