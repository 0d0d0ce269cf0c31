"""Where chains start: in the prior, or with one heavy unit.

Below a temperature T_c one unit carries a finite share of the labels; the transition is of first order
(docs/condensed.md), and chains that all come from one side of it may agree with each other in the wrong phase.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from proplim.sampling._target import Problem

PRIOR, HEAVY = "prior", "heavy unit"
"""Kinds of start: cooled from a draw of the prior; a heavy unit for each output put into such a draw at low
temperature, and heated."""
RIDGE = 0.3
"""Ridge of the regression that finds the heavy unit's weights, in units of the mean of C's diagonal."""
HEAVY_SIZE = 1.0
"""Root mean square of the heavy unit's preactivations on the training inputs."""
LONGEST = 2.0
"""Longest weights of the heavy unit, in units of the prior's sqrt(r)."""


def kind_of_start(chain: int, chains: int) -> str:
    """The first half of the chains starts in the prior, the others with a heavy unit."""
    return HEAVY if chain >= chains - chains // 2 else PRIOR


def with_heavy_unit(problem: Problem, hidden: Any) -> Any:
    """Hidden weights Z of shape (r, N) whose first unit is aligned with the labels; of C outputs the first C units.

    The weights of such a unit are the ridge regression of y on the whitened inputs, scaled to preactivations of order
    one; its readout is integrated out and finds its own value. Units of outputs that fewer can serve melt.
    """
    y = problem.y_train
    outputs = [y] if y.ndim == 1 else list(y.T)
    for unit, labels in enumerate(outputs[: hidden.shape[1]]):
        hidden = _with_aligned_unit(problem, hidden, unit, labels)
    return hidden


def _with_aligned_unit(problem: Problem, hidden: Any, unit: int, y: Any) -> Any:
    """Hidden weights one unit of which is aligned with labels (P,)."""
    import jax.numpy as jnp

    inputs = problem.inputs_train
    covariance, tiny = inputs @ inputs.T, np.finfo(float).tiny
    ridge = jnp.maximum(RIDGE * jnp.trace(covariance) / len(y), tiny)
    weights = inputs.T @ jnp.linalg.solve(covariance + ridge * jnp.eye(len(y)), y)
    size = jnp.sqrt(jnp.mean((inputs @ weights) ** 2))
    longest = LONGEST * np.sqrt(len(weights)) / jnp.maximum(jnp.linalg.norm(weights), tiny)
    aligned = jnp.minimum(HEAVY_SIZE / jnp.maximum(size, tiny), longest) * weights
    # labels that say nothing (all zero) leave the unit where it is
    found = jnp.isfinite(size) & (size > 0)
    return jnp.asarray(hidden).at[:, unit].set(jnp.where(found, aligned, hidden[:, unit]))
