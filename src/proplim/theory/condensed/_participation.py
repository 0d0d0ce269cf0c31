"""How many units share the readout: (sum_i v_i^2)^2 / (N sum_i v_i^4)."""

from __future__ import annotations

import numpy as np

from proplim.theory.condensed._explicit import Explicit
from proplim.theory.condensed._measure import Measure
from proplim.theory.condensed._others import Cavity

SETS = 50
"""Networks drawn for a group."""


def participation_of_readouts(
    measure: Measure, explicit: Explicit, nodes: list[Cavity], groups: int, rng: np.random.Generator
) -> np.ndarray:
    """Mean of the ratio over networks put together from the explicit units and draws of the others, one a group.

    The others are drawn from the cavity at the nearer of the two shares.
    """
    count, n = len(explicit.shares), round(measure.others)
    result = np.empty(groups)
    size = count // groups
    for group in range(groups):
        pick = group * size + np.linspace(0, size - 1, SETS).astype(int)
        own = explicit.readouts[pick]
        above = explicit.shares[pick] > explicit.share
        others = np.empty((SETS, n))
        for node, cavity in enumerate(nodes):
            rows = np.nonzero(above == bool(node))[0]
            others[rows] = _draw(cavity, (len(rows), n), rng)
        v2 = np.concatenate([own, others], axis=1) ** 2
        result[group] = (v2.sum(axis=1) ** 2 / (v2**2).sum(axis=1)).mean() / measure.width
    return result


def _draw(cavity: Cavity, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Readouts of single units: hidden weights by their weight, then v from its first two moments."""
    weights = cavity.weights / cavity.weights.sum()
    index = rng.choice(len(weights), size=shape, p=weights)
    r = cavity.readouts
    return np.asarray(r.mean[index] + np.sqrt(r.variance[index]) * rng.standard_normal(shape))
