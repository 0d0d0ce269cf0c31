"""Reduction of a large symmetric matrix to tridiagonal form, on one core or two with the same bits.

Columns are done in panels. Within a panel the matrix stays as it is, and what its reflectors change is kept as
V W^T + W V^T; at its end the rest of the matrix is updated with products of matrices. Half of the operations are then
products of the matrix with a vector, one a column, at the speed of memory. They are cut in two parts of equal size at places
that depend on the size of the matrix alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proplim._cores import Partner, cut, side_by_side, with_partner
from proplim.theory._lapack import (
    LOWER,
    MINUS_ONE,
    ONE,
    PLAIN,
    TRANSPOSED,
    ZERO,
    Columns,
    Integers,
    routine,
)

PANEL = 32
"""Columns between two updates of the matrix."""
UPDATED = 256
"""Columns of the matrix in a part of an update."""
SHARED = 800
"""Rows from which two cores share a product with a vector."""
CACHED = 2**17
"""Elements of a part that is read twice, a megabyte: the second time from the cache."""


class Tridiagonal(NamedTuple):
    """A = Q T Q^T.

    Parameters
    ----------
    reflectors : (P, P) array
        Column j holds, below its first element under the diagonal, which is one, the vector of reflector j.
    factors : (P - 1,) array
        tau of I - tau v v^T.
    diagonal : (P,) array
    beside : (P - 1,) array
    """

    reflectors: np.ndarray
    factors: np.ndarray
    diagonal: np.ndarray
    beside: np.ndarray


def tridiagonal(matrix: np.ndarray) -> Tridiagonal:
    """Tridiagonal form of a symmetric (P, P) array, of which the lower triangle is read."""
    reduction = _Reduction(np.array(matrix, order="F"))
    with with_partner() as partner:
        return reduction.run(partner)


class _Reduction:
    """The matrix on its way to tridiagonal form.

    Parameters
    ----------
    matrix : (P, P) array in Fortran order
        Overwritten, its lower triangle with the reflectors.
    """

    def __init__(self, matrix: np.ndarray) -> None:
        self._matrix, self._at, self._int = matrix, Columns(matrix), Integers(max(len(matrix), 1))
        size = self._size = len(matrix)
        self._diagonal, self._beside, self._factors = np.empty(size), np.zeros(size - 1), np.zeros(size - 1)
        # Of the panel: V and W column by column in turn, and each with its partner's place taken.
        self._pairs = np.empty((size, 2 * PANEL), order="F")
        self._swapped = np.empty((size, 2 * PANEL), order="F")
        self._images = np.empty((2, size))
        self._symv, self._gemv, self._gemm = routine("dsymv", 10), routine("dgemv", 11), routine("dgemm", 13)

    def run(self, partner: Partner) -> Tridiagonal:
        """All columns."""
        for start in range(0, self._size - 1, PANEL):
            stop = min(start + PANEL, self._size - 1)
            for column in range(start, stop):
                self._reduce(column, start, partner)
            self._update(stop, 2 * (stop - start))
        self._diagonal[-1] = self._matrix[-1, -1]
        return Tridiagonal(self._matrix, self._factors, self._diagonal, self._beside)

    def _reduce(self, column: int, start: int, partner: Partner) -> None:
        """Find the reflector of a column, and what it does to the rest."""
        done, below = 2 * (column - start), column + 1
        own = self._matrix[column:, column]
        if done:
            own -= self._pairs[column:, :done] @ self._swapped[column, :done]
        self._diagonal[column] = own[0]
        vector = own[1:]
        self._beside[column], factor = _reflector(vector)
        self._factors[column] = factor
        image = self._times(below, vector, partner)
        if done:
            pairs = self._pairs[below:, :done]
            image -= self._swapped[below:, :done] @ (pairs.T @ vector)
        image *= factor
        image -= (0.5 * factor * (image @ vector)) * vector
        self._pairs[below:, done], self._pairs[below:, done + 1] = vector, image
        self._swapped[below:, done], self._swapped[below:, done + 1] = image, vector

    def _times(self, first: int, vector: np.ndarray, partner: Partner) -> np.ndarray:
        """The part of the matrix that begins at `first` times a vector."""
        size = self._size - first
        ours, theirs = self._images[:, first:]
        x, y, z = vector.ctypes.data, ours.ctypes.data, theirs.ctypes.data
        if size < SHARED:
            self._square(first, size, x, y)
            return ours
        half = size // 2
        middle, quarter = first + half, half // 2
        ours[half:] = 0.0

        def upper() -> None:
            self._square(first, half, x, y)
            self._rectangle(middle, first, quarter, x + 8 * half, x, y + 8 * half, y)

        def lower() -> None:
            self._square(middle, size - half, x + 8 * half, z + 8 * half)
            self._rectangle(
                middle, first + quarter, half - quarter, x + 8 * half, x + 8 * quarter, z + 8 * half, z + 8 * quarter
            )

        theirs[:half] = 0.0
        partner.both(upper, lower)
        ours += theirs
        return ours

    def _square(self, first: int, size: int, x: int, y: int) -> None:
        """y = (square on the diagonal) x."""
        one, full = self._int(1), self._int(self._size)
        self._symv(LOWER, self._int(size), ONE, self._at(first, first), full, x, one, ZERO, y, one)

    def _rectangle(
        self, row: int, column: int, width: int, x_rows: int, x_columns: int, y_rows: int, y_columns: int
    ) -> None:
        """Add to y what the rectangle of `width` columns below `row` and its mirror image give for x."""
        one, full, rows = self._int(1), self._int(self._size), self._size - row
        for part in cut(width, max(CACHED // rows, 1)):
            block, columns = self._at(row, column + part.start), self._int(part.stop - part.start)
            shift = 8 * part.start
            height = self._int(rows)
            self._gemv(
                PLAIN, height, columns, ONE, block, full, x_columns + shift, one, ONE, y_rows, one
            )
            self._gemv(
                TRANSPOSED, height, columns, ONE, block, full, x_rows, one, ONE, y_columns + shift, one
            )

    def _update(self, first: int, width: int) -> None:
        """Take V W^T + W V^T of a panel from the rest of the matrix, its lower triangle in blocks of columns."""
        pairs, swapped, full = Columns(self._pairs), Columns(self._swapped), self._int(self._size)

        def subtract(part: slice) -> None:
            row, columns = first + part.start, self._int(part.stop - part.start)
            self._gemm(
                PLAIN, TRANSPOSED, self._int(self._size - row), columns, self._int(width), MINUS_ONE,
                pairs(row, 0), full, swapped(row, 0), full, ONE, self._at(row, row), full,
            )  # fmt: skip

        side_by_side(subtract, cut(self._size - first, UPDATED))


def _reflector(vector: np.ndarray) -> tuple[float, float]:
    """Turn a vector, in place, into v of I - tau v v^T with v_0 = 1 that maps it to (beta, 0, ...); beta and tau."""
    first, rest = float(vector[0]), float(np.linalg.norm(vector[1:]))
    vector[0] = 1.0
    if rest == 0.0:
        return first, 0.0
    beta = -float(np.copysign(np.hypot(first, rest), first))
    vector[1:] /= first - beta
    return beta, (beta - first) / beta
