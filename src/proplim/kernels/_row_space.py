"""Row space of the training inputs: the only directions of the hidden weights that the training data see.

One factorisation X = U S V^T serves the sampler's whitened weights, the frames of the dynamics and the inputs of
the cavity. What counts as zero is judged relative to the inputs themselves, so that their units do not matter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class RowSpace(NamedTuple):
    """Thin singular value decomposition X = U S V^T of the training inputs, cut at their rank r.

    Parameters
    ----------
    basis : (N0, r) array
        V: orthonormal directions of the span.
    coordinates : (P, r) array
        U S = X V: training inputs in these directions.
    """

    basis: np.ndarray
    coordinates: np.ndarray

    @property
    def rank(self) -> int:
        """r, at least 1."""
        return int(self.basis.shape[1])

    def inside(self, inputs: np.ndarray) -> np.ndarray:
        """Coordinates x V of (m, N0) inputs inside the span, (m, r)."""
        return inputs @ self.basis

    def outside(self, inputs: np.ndarray) -> np.ndarray:
        """R with R R^T = D D^T for the part D of (m, N0) inputs outside the span, (m, r_out).

        R has as few columns as the rank of D allows; none where all inputs are inside.
        """
        rest = inputs - self.inside(inputs) @ self.basis.T
        if not rest.size:
            return np.zeros((len(inputs), 0))
        left, singular, _ = np.linalg.svd(rest, full_matrices=False)
        # the rest is a difference of numbers of the size of the inputs: what it has of their rounding is no direction
        rank = int((singular > _rounding(inputs, float(np.linalg.norm(inputs)))).sum())
        return left[:, :rank] * singular[:rank]


def row_space(inputs: np.ndarray) -> RowSpace:
    """Factorise (P, N0) training inputs.

    Directions whose singular value is below max(P, N0) eps times the largest one are rounding and left out; at
    least one is kept, so that no input is no special case.
    """
    left, singular, right = np.linalg.svd(inputs, full_matrices=False)
    rank = max(int((singular > _rounding(inputs, singular[0])).sum()), 1)
    return RowSpace(right[:rank].T, left[:, :rank] * singular[:rank])


def _rounding(inputs: np.ndarray, size: float) -> float:
    """Rounding of a singular value of a matrix of this shape and size."""
    return float(max(inputs.shape) * np.finfo(float).eps * size)
