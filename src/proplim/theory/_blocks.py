"""Grid points as flat arrays, worked through in blocks of one fixed size.

Every block has the same shape, padded where points run out. Vectorised operations and matrix products then
see the same shapes whatever grid a point belongs to, so that its value cannot depend on its neighbours, and
memory stays bounded however long the grid is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from proplim._cores import LARGE_KERNEL

BLOCK = 256
"""Points in a block, a multiple of every SIMD width and matrix-product tile."""
BLOCK_OF_LARGE = 64
"""The same for a large kernel: a job then has some dozens of points, and what pads a block costs as much as they do."""
TAIL = 32
"""Smaller blocks for what is left over, where only sums over modes are taken: no row knows another."""


def block_for(n_train: int) -> int:
    """Points in a block of matrix products with the modes of P training inputs; nothing else may decide on it."""
    return BLOCK if n_train < LARGE_KERNEL else BLOCK_OF_LARGE


class Points(NamedTuple):
    """Grid points of one data set, activation and lambda0, as flat arrays of one length n.

    Parameters
    ----------
    temperature : (n,) array
        T.
    width : (n,) array
        N, as floats.
    lambda1 : (n,) array
    """

    temperature: np.ndarray
    width: np.ndarray
    lambda1: np.ndarray

    @property
    def size(self) -> int:
        """Number of points."""
        return len(self.temperature)


def in_blocks(
    function: Callable[..., dict[str, np.ndarray]], *arrays: np.ndarray, block: int = BLOCK, tail: int = TAIL
) -> dict[str, np.ndarray]:
    """Apply `function` to `arrays` in blocks of exactly `block` rows and join the results.

    Parameters
    ----------
    function : callable
        Takes one (block, ...) array per argument and returns named (block, ...) arrays, row by row.
    *arrays : (n, ...) arrays
        Of one length n > 0.
    block, tail : int
        Rows that do not fill a block go in blocks of `tail` rows, the last padded by repeating its last row.

    Returns
    -------
    dict of (n, ...) arrays
    """
    n = len(arrays[0])
    result: dict[str, np.ndarray] = {}
    start = 0
    while start < n:
        size = block if n - start >= block else tail
        stop = min(start + size, n)
        part = [_padded(np.asarray(a[start:stop]), size) for a in arrays]
        for name, value in function(*part).items():
            if name not in result:
                result[name] = np.empty((n, *value.shape[1:]), dtype=value.dtype)
            result[name][start:stop] = value[: stop - start]
        start = stop
    return result


def in_product_blocks(
    function: Callable[..., dict[str, np.ndarray]], *arrays: np.ndarray, block: int = BLOCK
) -> dict[str, np.ndarray]:
    """:func:`in_blocks` for functions with matrix products, whose shape must never vary."""
    return in_blocks(function, *arrays, block=block, tail=block)


def elementwise(function: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """A transcendental function of a flat array, in blocks: the ends of an array may round differently."""
    return in_blocks(lambda block: {"value": function(block)}, values)["value"]


def _padded(array: np.ndarray, length: int) -> np.ndarray:
    missing = length - len(array)
    if missing:
        array = np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])
    return np.ascontiguousarray(array)
