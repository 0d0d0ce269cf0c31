"""Classes under the cosine kernel K'(x, x')/sqrt(K'(x, x) K'(x', x')) of a theory (docs/theory.md, section 4).

Lengths of the features differ from grid point to grid point, and with them the vectors 1/(P_s |sigma(x)|) that
average over a class: unlike D itself the quadratic forms are those of other vectors at every point.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np

from proplim.observables import ClassKernel


class CosineInputs(ABC):
    """A :class:`proplim.observables.StateInputs` that knows the lengths of its features."""

    @property
    @abstractmethod
    def feature_lengths_sq(self) -> np.ndarray:
        """K'(x, x), (n, m)."""

    @abstractmethod
    def scaled_class_kernel(self, scale: np.ndarray) -> ClassKernel:
        """Class averages of the kernel of features times (n, m) factors."""

    @cached_property
    def normalized_class_kernel(self) -> ClassKernel:
        """Of features of unit length; one without length stays at the origin."""
        lengths_sq = self.feature_lengths_sq
        positive = lengths_sq > 0.0
        return self.scaled_class_kernel(
            np.where(positive, 1.0 / np.sqrt(np.where(positive, lengths_sq, 1.0)), 0.0)
        )


def products_of(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Scalar products of (C, n, k) and (C, n, k) vectors at each of n points, (n, C, C)."""
    return np.stack([np.stack([(a * b).sum(-1) for b in right], axis=-1) for a in left], axis=1)
