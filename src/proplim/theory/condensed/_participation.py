"""How many units share the readout: (sum_i v_i^2)^2 / (N sum_i v_i^4)."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from proplim.theory.condensed._explicit import Explicit
from proplim.theory.condensed._gaussian import Gaussian
from proplim.theory.condensed._measure import Measure
from proplim.theory.condensed._others import Cavity

SETS = 250
"""Networks drawn for a group."""


def participation_of_readouts(
    measure: Measure,
    explicit: Explicit,
    others: list[tuple[Gaussian, Cavity]],
    groups: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Mean of the ratio over networks put together from the explicit units and draws of the others, one a group.

    The others are drawn from the cavity at the nearer of the two shares, all below the smallest explicit readout of
    their network. Their norm is that of the explicit units' own draw, Q, with the cavity's change of <v^2>: where the
    heavy readout is small the others are large, which the mean norm alone would miss.
    """
    count, n = len(explicit.shares), round(measure.others)
    result = np.empty(groups)
    size = count // groups
    for group in range(groups):
        pick = group * size + np.linspace(0, size - 1, SETS).astype(int)
        own = explicit.readouts[pick]
        above = explicit.shares[pick] > explicit.share
        squares = np.empty((SETS, n))
        for node, (gaussian, cavity) in enumerate(others):
            rows = np.nonzero(above == bool(node))[0]
            drawn = _draw(cavity, own[rows].min(axis=1), n, rng) ** 2
            change = float(cavity.weights @ cavity.readouts.square) / len(cavity.weights) / gaussian.square
            norm = n * explicit.squares[pick[rows]] * change
            squares[rows] = drawn * (norm / drawn.sum(axis=1))[:, None]
        v2 = np.concatenate([own**2, squares], axis=1)
        result[group] = (v2.sum(axis=1) ** 2 / (v2**2).sum(axis=1)).mean() / measure.width
    return result


def _draw(cavity: Cavity, bounds: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` readouts of single units for every bound: hidden weights by their weight, then v of eq. (C.6)."""
    weights = cavity.weights / cavity.weights.sum()
    index = rng.choice(len(weights), size=(len(bounds), count), p=weights)
    rows, back = np.unique(index, return_inverse=True)
    precision = cavity.precision[rows]
    mean = cavity.q[rows] / precision
    mean, root = mean[back].reshape(index.shape), np.sqrt(precision)[back].reshape(index.shape)
    low, high = ndtr((-bounds[:, None] - mean) * root), ndtr((bounds[:, None] - mean) * root)
    return np.asarray(mean + ndtri(low + rng.random(index.shape) * (high - low)) / root)
