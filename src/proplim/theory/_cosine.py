"""Classes under the cosine kernel K'(x, x')/sqrt(K'(x, x) K'(x', x')) of a theory (docs/theory.md, section 4).

Lengths of the features differ from grid point to grid point, and with them the vectors 1/(P_s |sigma(x)|) that
average over a class: unlike D itself the quadratic forms are those of other vectors at every point.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from proplim.observables import ClassKernel

if TYPE_CHECKING:
    from proplim.theory._forms import InputForms


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


class Labelled(Protocol):
    """Inputs with labels and classes."""

    @property
    def targets(self) -> np.ndarray:
        """Labels, (m,) or (m, C)."""

    @property
    def weights(self) -> np.ndarray:
        """u_s, (C, m)."""


class LabelledInputs(CosineInputs):
    """Inputs whose labels and classes stand in the forms that a theory is made of."""

    _forms: Labelled

    @property
    def targets(self) -> np.ndarray:
        """Labels, (m,) or (m, C)."""
        return self._forms.targets

    @property
    def class_weights(self) -> np.ndarray:
        """u_s, (C, m)."""
        return self._forms.weights


def products_of(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Scalar products of (C, n, k) and (C, n, k) vectors at each of n points, (n, C, C)."""
    return np.stack([np.stack([(a * b).sum(-1) for b in right], axis=-1) for a in left], axis=1)


def scaled_class_kernel(
    forms: InputForms, kept: np.ndarray, rises: Sequence[tuple[np.ndarray, np.ndarray]], scale: np.ndarray
) -> ClassKernel:
    """Class averages of a feature kernel that the modes of the prior make up, of features times factors.

    Of docs/theory.md, eqs. 3.10 and 3.11, mode by mode: K' is what no mode explains, what is kept of every mode, and
    the squares of mean predictors, f(x) f(x')/weight.

    Parameters
    ----------
    forms : InputForms
    kept : (n, r) array
    rises : sequence of (n, m) and (n,) arrays
        Mean predictors and their weights.
    scale : (n, m) array
        The factors.
    """
    classes = forms.classes
    own = [scale[:, c.members] * c.weight for c in classes]
    modes = np.stack([c.projections(a) for c, a in zip(classes, own, strict=True)])
    rows = np.zeros((len(classes), *scale.shape))
    for row, c, a in zip(rows, classes, own, strict=True):
        row[:, c.members] = a
    unexplained = forms.unexplained(rows, modes)
    between = unexplained + products_of(modes * kept, modes)
    centres = []
    for mean, weight in rises:
        centre = np.stack([(a * mean[:, c.members]).sum(-1) for c, a in zip(classes, own, strict=True)])
        between = between + centre.T[:, :, None] * centre.T[:, None, :] / weight[:, None, None]
        centres.append(centre)
    spreads = []
    for s, (c, a) in enumerate(zip(classes, own, strict=True)):
        squares = a * scale[:, c.members]
        rest = (squares * forms.left[c.members]).sum(-1) - unexplained[:, s, s]
        of_modes = np.maximum(c.squares(squares) - modes[s] ** 2, 0.0)
        spread = np.maximum(rest, 0.0) + (kept * of_modes).sum(-1)
        for (mean, weight), centre in zip(rises, centres, strict=True):
            from_centre = scale[:, c.members] * mean[:, c.members] - centre[s][:, None]
            spread = spread + c.weight * (from_centre**2).sum(-1) / weight
        spreads.append(spread)
    return ClassKernel(between, np.stack(spreads, axis=-1))
