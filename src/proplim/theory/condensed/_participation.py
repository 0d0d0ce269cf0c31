"""How many units share the readout: (sum_i v_i^2)^2 / (N sum_i v_i^4)."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from proplim.theory.condensed._explicit import Explicit, weights_of
from proplim.theory.condensed._gaussian import Gaussian
from proplim.theory.condensed._measure import Measure
from proplim.theory.condensed._others import Cavity

DRAWS, SETS = 224, 2
"""Draws of the explicit units that are used of a group, and networks drawn for each."""


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
    n = round(measure.others)
    result = np.empty(groups)
    for group, rows in enumerate(np.split(np.arange(len(explicit.shares)), explicit.ends[:-1])):
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), DRAWS)).astype(int)]
        networks = np.repeat(rows, SETS)
        own = explicit.readouts[networks]
        above = explicit.shares[networks] > explicit.share
        squares = np.empty((len(networks), n))
        for node, (gaussian, cavity) in enumerate(others):
            at = np.nonzero(above == bool(node))[0]
            drawn = _draw(cavity, own[at].min(axis=1), n, rng) ** 2
            change = float(cavity.weights @ cavity.readouts.square) / len(cavity.weights) / gaussian.square
            norm = n * explicit.squares[networks[at]] * change
            squares[at] = drawn * (norm / drawn.sum(axis=1))[:, None]
        v2 = np.concatenate([own**2, squares], axis=1)
        ratio = v2.sum(axis=1) ** 2 / (v2**2).sum(axis=1) / measure.width
        result[group] = ratio.reshape(len(rows), -1).mean(axis=1) @ weights_of(explicit.controls[rows])
    return result


def _draw(cavity: Cavity, bounds: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` readouts of single units for every bound: hidden weights by their weight, then v of eq. (C.6).

    A draw of the Gaussian that is beyond the bound is drawn again, from what is within it.
    """
    weights = cavity.weights / cavity.weights.sum()
    index = rng.choice(len(weights), size=(len(bounds), count), p=weights)
    precision = cavity.precision[index]
    mean, root = cavity.q[index] / precision, np.sqrt(precision)
    v = mean + rng.standard_normal(index.shape) / root
    beyond = np.nonzero(np.abs(v) > bounds[:, None])
    mean, root, bound = mean[beyond], root[beyond], bounds[beyond[0]]
    low, high = ndtr((-bound - mean) * root), ndtr((bound - mean) * root)
    v[beyond] = mean + ndtri(low + rng.random(len(bound)) * (high - low)) / root
    return np.asarray(v)
