"""Matrix products whose rows do not know each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from proplim.theory._blocks import BLOCK


def row_product(matrix: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return rows -> rows @ matrix.T for (BLOCK, r) blocks, bit-identical wherever a row stands in it.

    One matrix product does that with the BLAS libraries we know, but none promises it: edge tiles
    may sum in another order. So it is tried on this matrix, with the rows rolled by one and reversed; a
    library that fails gets one matrix-vector product a row, slower and certain.

    Parameters
    ----------
    matrix : (n, r) array
    """
    matrix = np.ascontiguousarray(matrix)
    rows = np.random.default_rng(0).standard_normal((BLOCK, matrix.shape[1]))
    expected = rows @ matrix.T
    orders = (np.roll(np.arange(BLOCK), 1), np.arange(BLOCK)[::-1])
    if all(np.array_equal(rows[order] @ matrix.T, expected[order]) for order in orders):
        return lambda block: block @ matrix.T
    return lambda block: np.stack([matrix @ row for row in block])
