"""Matrix product computed in row blocks of one shape, so that a row's bits do not depend on the others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from proplim._cores import LARGE_KERNEL
from proplim.theory._blocks import BLOCK, in_product_blocks
from proplim.theory._eigen import product

RowProduct = Callable[[np.ndarray], np.ndarray]
"""(n, r) rows -> their images, (n, m)."""


def row_product(matrix: np.ndarray, block: int = BLOCK) -> RowProduct:
    """Return rows -> rows @ matrix.T for (n, r) rows, each with the same bits wherever it stands.

    Matrix products of a fixed number of rows have that property with the BLAS libraries we know, but none promises
    it: edge tiles may sum in another order. So it is tried with the first matrix of every shape, the rows rolled by one
    and reversed; a library that fails gets one matrix-vector product a row, slower and certain.

    Parameters
    ----------
    matrix : (m, r) array
    block : int
        Rows in a product.
    """
    if not matrix.flags.f_contiguous or len(matrix) < LARGE_KERNEL:
        matrix = np.ascontiguousarray(matrix)  # a large transposed one is not worth a copy
    if _keeps_bits(matrix, block):
        return lambda rows: _of_blocks(lambda part: product(part, matrix.T), rows, block)
    return lambda rows: np.stack([matrix @ row for row in rows])


_TRIED: dict[tuple[int, ...], bool] = {}
"""Whether rows keep their bits, by what a library may go by: the shape, its order in memory, and the block."""


def _keeps_bits(matrix: np.ndarray, block: int) -> bool:
    key = (*matrix.shape, matrix.flags.c_contiguous, block)
    if key not in _TRIED:
        rows = np.random.default_rng(0).standard_normal((block, matrix.shape[1]))
        expected = product(rows, matrix.T)
        orders = (np.roll(np.arange(block), 1), np.arange(block)[::-1])
        _TRIED[key] = all(np.array_equal(product(rows[order], matrix.T), expected[order]) for order in orders)
    return _TRIED[key]


def _of_blocks(times: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, block: int) -> np.ndarray:
    if len(rows) == block:
        return times(np.ascontiguousarray(rows))
    return in_product_blocks(lambda part: {"image": times(part)}, rows, block=block)["image"]
