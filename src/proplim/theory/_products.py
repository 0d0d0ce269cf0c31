"""Matrix product computed in row blocks of one shape, so that a row's bits do not depend on the others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from proplim.theory._blocks import BLOCK, in_product_blocks

RowProduct = Callable[[np.ndarray], np.ndarray]
"""(n, r) rows -> their images, (n, m)."""


def row_product(matrix: np.ndarray, block: int = BLOCK) -> RowProduct:
    """Return rows -> rows @ matrix.T for (n, r) rows, each with the same bits wherever it stands.

    Matrix products of a fixed number of rows have that property with the BLAS libraries we know, but none promises
    it: edge tiles may sum in another order. So it is tried on this matrix, with the rows rolled by one and
    reversed; a library that fails gets one matrix-vector product a row, slower and certain.

    Parameters
    ----------
    matrix : (m, r) array
    block : int
        Rows in a product.
    """
    matrix = np.ascontiguousarray(matrix)
    rows = np.random.default_rng(0).standard_normal((block, matrix.shape[1]))
    expected = rows @ matrix.T
    orders = (np.roll(np.arange(block), 1), np.arange(block)[::-1])
    if all(np.array_equal(rows[order] @ matrix.T, expected[order]) for order in orders):
        return lambda rows: _of_blocks(lambda part: part @ matrix.T, rows, block)
    return lambda rows: np.stack([matrix @ row for row in rows])


def _of_blocks(product: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, block: int) -> np.ndarray:
    if len(rows) == block:
        return product(np.ascontiguousarray(rows))
    return in_product_blocks(lambda part: {"product": product(part)}, rows, block=block)["product"]
