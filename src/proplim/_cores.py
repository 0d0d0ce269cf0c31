"""Cores that a computation may use, for work in parts whose bits do not depend on who computes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")

LARGE_KERNEL = 1500
"""Training inputs from which cores share the work on one kernel."""

_GIVEN: ContextVar[int | None] = ContextVar("cores", default=None)


def cores() -> int:
    """Cores given by :func:`using_cores`; outside of it, those that this process may run on."""
    given = _GIVEN.get()
    if given is not None:
        return given
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


@contextmanager
def using_cores(count: int) -> Iterator[None]:
    """Computations in this context use so many cores."""
    token = _GIVEN.set(max(1, count))
    try:
        yield
    finally:
        _GIVEN.reset(token)


def side_by_side(function: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
    """``[function(part) for part in parts]`` in threads.

    The cut into parts must not depend on the number of cores; results are then the same to the bit on any. Where a
    part fails the others are done all the same, and the first error is raised. One of several parts has one core to
    itself.
    """
    parts = list(parts)
    if cores() == 1 or len(parts) == 1:
        return [function(part) for part in parts]

    def alone(part: Part) -> Result:
        with using_cores(1):
            return function(part)

    with ThreadPoolExecutor(cores()) as pool:
        return [done.result() for done in [pool.submit(alone, part) for part in parts]]


def cut(length: int, size: int) -> list[slice]:
    """Slices of `size` that cover a length; the last is shorter."""
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]
