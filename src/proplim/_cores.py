"""Cores that a computation may use, for work in parts whose bits do not depend on who computes them."""

from __future__ import annotations

import os
import threading
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
    part fails the others are done all the same, and the first error is raised.
    """
    if cores() == 1:
        return [function(part) for part in parts]
    with ThreadPoolExecutor(cores()) as pool:
        return [done.result() for done in [pool.submit(function, part) for part in parts]]


class Partner:
    """Someone to do a second thing beside the first; here nobody, and one comes after the other."""

    def both(self, first: Callable[[], None], second: Callable[[], None]) -> None:
        """Do both; neither may need what the other changes."""
        first()
        second()


class _Thread(Partner):
    """A partner in a thread that waits for work, for things too short to start a thread for each."""

    def __init__(self) -> None:
        self._work: Callable[[], None] | None = None
        self._error: BaseException | None = None
        self._given, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def both(self, first: Callable[[], None], second: Callable[[], None]) -> None:
        """Do the first here and the second in the thread."""
        self._work = second
        self._given.release()
        try:
            first()
        finally:
            self._done.acquire()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def leave(self) -> None:
        """End the thread."""
        self._work = None
        self._given.release()
        self._thread.join()

    def _wait(self) -> None:
        while True:
            self._given.acquire()
            if self._work is None:
                return
            try:
                self._work()
            except BaseException as error:
                self._error = error
            self._done.release()


@contextmanager
def with_partner() -> Iterator[Partner]:
    """A thread beside this one where there are two cores, and nobody where there is one."""
    if cores() == 1:
        yield Partner()
        return
    thread = _Thread()
    try:
        yield thread
    finally:
        thread.leave()


def cut(length: int, size: int) -> list[slice]:
    """Slices of `size` that cover a length; the last is shorter."""
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]
