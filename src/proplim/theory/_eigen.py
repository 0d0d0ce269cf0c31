"""Eigenvectors of a large kernel on several cores, with bits that do not depend on their number.

A linear-algebra library that is given two threads adds up in another order than with one: eigenvalues of a kernel then
differ in their last bits (by 6e-16 of the largest at P = 1500). So every call has one thread, and cores share the
columns of products: the back transformation of the eigenvectors, and products with them. What is left for one core is
the reduction to tridiagonal form, half of the time, and the tridiagonal problem.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from proplim._cores import LARGE_KERNEL, cut, side_by_side

COLUMNS = 256
"""Columns in a part; fixed, so that the cut does not depend on the cores."""
PRODUCT = 512
"""The same for products with the vectors."""
BLOCK = 64
"""Reflectors that are applied together."""
_LOWER = 1


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
    reflectors, diagonal, beside, factors, _ = lapack.dsytrd(
        np.asfortranarray(matrix), lower=_LOWER, lwork=BLOCK * size
    )
    values, vectors, failed = lapack.dstevd(diagonal, beside)
    if failed:
        raise np.linalg.LinAlgError("the eigenvalues of the tridiagonal form did not converge")
    acting = np.asfortranarray(reflectors[1:, :-1])

    def transform(part: slice) -> None:
        turned, _, _ = lapack.dormqr(
            "L", "N", acting, factors, np.asfortranarray(vectors[1:, part]), lwork=BLOCK * COLUMNS
        )
        vectors[1:, part] = turned

    side_by_side(transform, cut(size, COLUMNS))
    return values, vectors


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
