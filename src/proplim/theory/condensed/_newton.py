"""Newton's method for (a, Sigma) in coordinates in which Sigma is one: the steps of both cavities of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np

SHORTEST = 1.0 / 64.0
"""Shortest part of a step that is tried."""


class Trial(Protocol):
    """A trial solution."""

    @property
    def residual(self) -> float:
        """Length of what it lacks."""


T = TypeVar("T", bound=Trial)


def unscaled(root: np.ndarray, d_a: np.ndarray, d_sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A step in these coordinates as one in (a, Sigma), Sigma = root root^T."""
    step = root @ d_sigma @ root.T
    return np.linalg.solve(root.T, d_a), 0.5 * (step + step.T)


def krylov_solution(
    product: Callable[[np.ndarray], np.ndarray], defect: np.ndarray, rtol: float, dimension: int
) -> np.ndarray:
    """What `product` takes to `defect`, in a Krylov space of this dimension (GMRES)."""
    from scipy.sparse.linalg import LinearOperator, gmres

    operator = LinearOperator((len(defect),) * 2, matvec=product, dtype=float)
    return np.asarray(gmres(operator, defect, rtol=rtol, restart=dimension, maxiter=1)[0])


def shortened(
    attempt: Callable[[float], T | None], residual: float, part: float = 1.0
) -> tuple[float, T] | None:
    """The longest tried part of a step, from `part` on, after which the residual is smaller, and what is there."""
    while part > SHORTEST:
        moved = attempt(part)
        if moved is not None and moved.residual < (1.0 - 0.01 * part) * residual:
            return part, moved
        part *= 0.5
    return None
