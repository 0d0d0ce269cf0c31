"""Eigenvectors of a large kernel on several cores, with bits that do not depend on their number.

A linear-algebra library that is given two threads adds up in another order than with one: eigenvalues of a kernel then
differ in their last bits (by 6e-16 of the largest at P = 1500). So every call has one thread, and cores share parts of
fixed shape: the halves of the tridiagonal problem, the columns of the back transformation of the eigenvectors, and
products with them. What is left for one core is the reduction to tridiagonal form.
"""

from __future__ import annotations

import numpy as np

from proplim._cores import LARGE_KERNEL, cut, side_by_side
from proplim.theory._halves import of_halves
from proplim.theory._lapack import call

COLUMNS = 256
"""Columns in a part; fixed, so that the cut does not depend on the cores."""
PRODUCT = 512
"""The same for products with the vectors."""
BLOCK = 64
"""Reflectors that are applied together."""
_LARGEST_BLOCK = 65
"""Rows and columns that the routine keeps of every block beside its work."""


def eigen(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues in ascending order, and eigenvectors in the columns, of a symmetric matrix.

    Parameters
    ----------
    matrix : (P, P) array

    Returns
    -------
    (P,) array, (P, P) array

    Raises
    ------
    numpy.linalg.LinAlgError
        If the tridiagonal problem does not converge.
    """
    size = len(matrix)
    if size < LARGE_KERNEL:
        values, vectors = np.linalg.eigh(matrix)
        return values, vectors
    # A = Q T Q^T with Q a product of reflectors that act on all rows but the first.
    reflectors = np.array(matrix.T, order="F")
    diagonal, beside, factors = np.empty(size), np.empty(size - 1), np.empty(size - 1)
    work = np.empty(BLOCK * size)
    call("dsytrd", b"L", size, reflectors, size, diagonal, beside, factors, work, len(work))
    halves = of_halves(diagonal, beside)
    vectors = np.empty((size, size))

    def transform(part: slice) -> None:
        own = halves.vectors(part)
        n = part.stop - part.start
        work = np.empty(BLOCK * n + _LARGEST_BLOCK * BLOCK)
        call(
            "dormqr", b"L", b"N", size - 1, n, size - 1, reflectors[1:], size, factors, own[1:], size,
            work, len(work),
        )  # fmt: skip
        vectors[:, part] = own

    side_by_side(transform, cut(size, COLUMNS))
    return halves.values, vectors


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left @ right; columns of a large `right` are shared by the cores.

    Parameters
    ----------
    left : (m, P) array
    right : (P, n) array

    Returns
    -------
    (m, n) array
    """
    if right.shape[1] < LARGE_KERNEL:
        return np.asarray(left @ right)
    out = np.empty((left.shape[0], right.shape[1]))

    def fill(part: slice) -> None:
        out[:, part] = left @ right[:, part]

    side_by_side(fill, cut(right.shape[1], PRODUCT))
    return out
