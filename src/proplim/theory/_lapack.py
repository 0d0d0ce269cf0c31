"""Routines of LAPACK on parts of arrays in place, without the interpreter's lock.

SciPy's wrappers hold the lock for as long as most routines run, so that two threads take turns, and copy what
routines change. SciPy exports the routines themselves to compiled code; here they are called by address.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from scipy.linalg import cython_lapack

_KINDS = {"char *": "c", "int *": "i", "d *": "d"}
"""Endings of the types in a signature."""


class LapackError(np.linalg.LinAlgError):
    """A routine did not converge, or did not understand its arguments."""


def call(name: str, *arguments: bytes | int | float | np.ndarray) -> None:
    """Call a routine of LAPACK, whose last argument `info` is looked at and not given.

    Parameters
    ----------
    name : str
        In lower case.
    *arguments : bytes, int, float or array
        Letters, integers and numbers that the routine only reads; arrays, also those of one element that it writes
        to. A part of a larger matrix is given as a view that begins at its first element.

    Raises
    ------
    LapackError
        Where `info` is not zero.
    TypeError
        Where the routine takes others than these arguments.
    """
    info = ctypes.c_int(0)
    held = [_held(argument) for argument in arguments]
    addresses = [a.ctypes.data if isinstance(a, np.ndarray) else ctypes.addressof(a) for a in held]
    _routine(name, (*map(_letter, held), "i"))(*addresses, ctypes.addressof(info))
    if info.value:
        raise LapackError(f"{name} of LAPACK failed with {info.value}")


def _held(argument: bytes | int | float | np.ndarray) -> Any:
    if isinstance(argument, bytes):
        return ctypes.c_char(argument)
    if isinstance(argument, int):
        return ctypes.c_int(argument)
    return ctypes.c_double(argument) if isinstance(argument, float) else argument


def _letter(held: Any) -> str:
    if isinstance(held, np.ndarray):
        return {np.dtype(float): "d", np.dtype(np.intc): "i"}.get(held.dtype, "?")
    return {ctypes.c_char: "c", ctypes.c_int: "i", ctypes.c_double: "d"}.get(type(held), "?")


@cache
def _routine(name: str, kinds: tuple[str, ...]) -> Callable[..., None]:
    """A routine that takes letters (c), integers (i) and numbers (d) by address, as its signature has to confirm."""
    capsule = cython_lapack.__pyx_capi__[name]
    name_of, pointer_of = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    signature = name_of(capsule)
    declared = signature.decode().partition("(")[2].rstrip(")").split(",")
    if kinds != tuple(_KINDS.get(kind.split("_")[-1].strip(), "?") for kind in declared):
        raise TypeError(f"{name} of LAPACK takes {', '.join(declared)}")
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(kinds))(pointer_of(capsule, signature))
