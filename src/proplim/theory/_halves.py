"""Eigenvectors of a tridiagonal matrix from those of its halves, in parts that cores share.

Cut in the middle, T = diag(T1, T2) + rho z z^T, where z picks the two elements beside the cut. With T1 = V1 D1 V1^T
and T2 = V2 D2 V2^T what is left is a diagonal matrix and a dyad, whose eigenvalues are the roots of a secular equation,
one between any two neighbours of the diagonal (Cuppen 1981; with vectors from recomputed dyads, Gu and Eisenstat
1995). Halves and roots, and the columns of products with V1 and V2, do not need one another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from proplim._cores import cut, side_by_side
from proplim.theory._lapack import call

ROOTS = 128
"""Roots of the secular equation, and components of its dyad, in a part; fixed: cores do not decide on the cut."""
DIRECT = 2
"""Roots up to which LAPACK returns vectors of the secular problem and not distances between roots and diagonal."""


@dataclass(frozen=True, eq=False)
class Halves:
    """Eigenvectors of a tridiagonal matrix, to be made as many at a time as wanted.

    Parameters
    ----------
    values : (P,) array
        Eigenvalues, ascending.
    columns : (P,) array of int
        Which column of the secular problem belongs to each: of its K roots, or from K on one of `kept`.
    kept : (P, P) array
        From column K on the vectors that the dyad leaves as they are. Column j < K holds the distances of the diagonal
        from root j (or its vector, up to K = 2).
    dyad : (K,) array
    order : (K,) array of int
        Components of the secular problem in the order of the columns of the products.
    first, second : matrices
        Vectors of the halves that the dyad mixes.
    shift : int
        Component, in that order, from which on the second half knows of it.
    """

    values: np.ndarray
    columns: np.ndarray
    kept: np.ndarray
    dyad: np.ndarray
    order: np.ndarray
    first: np.ndarray
    second: np.ndarray
    shift: int

    def vectors(self, part: slice) -> np.ndarray:
        """Eigenvectors of a slice of the eigenvalues, (P, n) in Fortran order."""
        columns, middle = self.columns[part], len(self.first)
        out = np.empty((len(self.values), len(columns)), order="F")
        mixed = columns < len(self.dyad)
        out[:, ~mixed] = self.kept[:, columns[~mixed]]
        secular = self._secular(columns[mixed])
        out[:middle, mixed] = self.first @ secular[: self.first.shape[1]]
        out[middle:, mixed] = self.second @ secular[self.shift :]
        return out

    def _secular(self, roots: np.ndarray) -> np.ndarray:
        count = len(self.dyad)
        distances = self.kept[:count, roots]
        components = distances if count <= DIRECT else np.divide(self.dyad[:, None], distances, out=distances)
        components /= np.sqrt((components**2).sum(axis=0))
        return components[self.order]


def of_halves(diagonal: np.ndarray, beside: np.ndarray) -> Halves:
    """Eigenvalues and eigenvectors of a tridiagonal matrix.

    Parameters
    ----------
    diagonal : (P,) array
    beside : (P - 1,) array

    Raises
    ------
    LapackError
        If the eigenvalues do not converge.
    """
    size, middle = len(diagonal), len(diagonal) // 2
    scale = float(max(np.abs(diagonal).max(), np.abs(beside).max(), np.finfo(float).tiny))
    values, beside = (
        diagonal / scale,
        beside / scale,
    )  # the routines take rounding to be that of numbers near one
    rho = np.array([beside[middle - 1]])
    values[middle - 1 : middle + 1] -= np.abs(rho)
    vectors = np.zeros((size, size), order="F")

    def solve(half: slice) -> None:
        n = half.stop - half.start
        work, integers = np.empty(1 + 4 * n + n * n), np.empty(3 + 5 * n, dtype=np.intc)
        own = vectors[half.start :, half.start :]
        call(
            "dstedc", b"I", n, values[half], beside[half.start : half.stop - 1].copy(), own, size,
            work, len(work), integers, len(integers),
        )  # fmt: skip

    side_by_side(solve, [slice(0, middle), slice(middle, size)])
    return _merged(values, vectors, rho, middle, scale)


def _merged(values: np.ndarray, vectors: np.ndarray, rho: np.ndarray, middle: int, scale: float) -> Halves:
    size = len(values)
    dyad = np.concatenate([vectors[middle - 1, :middle], vectors[middle, middle:]])
    ascending = np.concatenate([np.arange(middle), np.arange(size - middle)]).astype(np.intc) + np.intc(1)
    count = np.zeros(1, dtype=np.intc)
    poles, mixed = np.empty(size), np.empty(size)
    packed = np.empty(size * size)  # as large as the routine may want; what it does not touch costs nothing
    order, kinds, *scratch = np.zeros((4, size), dtype=np.intc)
    # Takes out what the dyad leaves as it is, and packs the vectors that it mixes.
    call(
        "dlaed2", count, size, middle, values, vectors, size, ascending, rho, dyad, poles, mixed, packed,
        scratch[0], order, scratch[1], kinds,
    )  # fmt: skip
    k = int(count[0])
    only_first, both, only_second = (int(kind) for kind in kinds[:3])
    poles, mixed = poles[:k], mixed[:k]

    def find(part: slice) -> None:
        for root in range(part.start, part.stop):
            call("dlaed4", k, root + 1, poles, mixed, vectors[:, root], rho, values[root : root + 1])

    side_by_side(find, cut(k, ROOTS))
    first, second = only_first + both, both + only_second
    end = middle * first
    return Halves(
        values=np.sort(values, kind="stable") * scale,
        columns=np.argsort(values, kind="stable"),
        kept=vectors,
        dyad=_exact_dyad(vectors, poles, mixed),
        order=order[:k] - 1,
        first=packed[:end].reshape((middle, first), order="F"),
        second=packed[end : end + (size - middle) * second].reshape((size - middle, second), order="F"),
        shift=only_first,
    )


def _exact_dyad(distances: np.ndarray, poles: np.ndarray, dyad: np.ndarray) -> np.ndarray:
    """The dyad of which the roots found are the exact ones, so that vectors of close roots are orthogonal."""
    k = len(poles)
    exact = np.empty(k)

    def find(part: slice) -> None:
        own = np.arange(part.start, part.stop)
        gaps = poles[part, None] - poles
        gaps[own - part.start, own] = 1.0
        squares = (distances[part, :k] / gaps).prod(axis=1)
        exact[part] = np.copysign(np.sqrt(np.abs(squares)), dyad[part])

    side_by_side(find, cut(k, ROOTS))
    return exact
