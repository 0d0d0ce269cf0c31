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
    """What a :class:`proplim.observables.StateInputs` needs to say so much about features of unit length.
    """

    @property
    @abstractmethod
    def class_weights(self) -> np.ndarray:
        """u_s, (C, m)."""

    @property
    @abstractmethod
    def feature_lengths_sq(self) -> np.ndarray:
        """K'(x, x), (n, m)."""

    @abstractmethod
    def feature_products(self, rows: np.ndarray) -> np.ndarray:
        """a_s^T K' a_s' for (C, n, m) vectors that differ from point to point, (n, C, C)."""

    @cached_property
    def normalized_class_kernel(self) -> ClassKernel:
        """Products of the class centroids of features of unit length; one without length stays at the origin."""
        lengths_sq = self.feature_lengths_sq
        positive = lengths_sq > 0.0
        inverse = np.where(positive, 1.0 / np.sqrt(np.where(positive, lengths_sq, 1.0)), 0.0)
        between = self.feature_products(self.class_weights[:, None, :] * inverse)
        return ClassKernel(between, np.where(positive, 1.0, 0.0) @ self.class_weights.T)
