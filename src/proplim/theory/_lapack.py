"""Routines of BLAS and LAPACK on parts of arrays in place, without the interpreter's lock.

SciPy's wrappers hold the lock for as long as a routine runs, so that two threads take turns, and most of them copy what
they change. SciPy exports the routines themselves to compiled code; they are called here by address.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from scipy.linalg import cython_blas, cython_lapack

Routine = Callable[..., None]

_BYTES = np.dtype(float).itemsize
ONE = ctypes.addressof(_one := ctypes.c_double(1.0))
"""Addresses of numbers that routines take."""
ZERO = ctypes.addressof(_zero := ctypes.c_double(0.0))
MINUS_ONE = ctypes.addressof(_minus_one := ctypes.c_double(-1.0))
LOWER = ctypes.addressof(_lower := ctypes.c_char(b"L"))
PLAIN = ctypes.addressof(_plain := ctypes.c_char(b"N"))
TRANSPOSED = ctypes.addressof(_transposed := ctypes.c_char(b"T"))


@cache
def routine(name: str, arguments: int) -> Routine:
    """A routine of BLAS or LAPACK by its name; all its `arguments` are addresses."""
    module: Any = cython_blas if name in cython_blas.__pyx_capi__ else cython_lapack
    capsule = module.__pyx_capi__[name]
    name_of, pointer_of = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address = pointer_of(capsule, name_of(capsule))
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * arguments)(address)


class Integers:
    """Addresses of the integers from 0 to a largest one, as routines want them."""

    def __init__(self, largest: int) -> None:
        self._values = np.arange(largest + 1, dtype=np.intc)
        self._start = self._values.ctypes.data

    def __call__(self, value: int) -> int:
        """Address of an integer."""
        return self._start + value * self._values.itemsize


class Columns:
    """Addresses of the elements of a matrix that is stored by columns.

    Parameters
    ----------
    matrix : (m, n) array in Fortran order
    """

    def __init__(self, matrix: np.ndarray) -> None:
        if not matrix.flags.f_contiguous or matrix.dtype != float:
            raise ValueError("the matrix has to be stored by columns, in double precision")
        self._matrix, self._start, self._step = matrix, matrix.ctypes.data, len(matrix) * _BYTES

    def __call__(self, row: int, column: int) -> int:
        """Address of an element."""
        return self._start + row * _BYTES + column * self._step
