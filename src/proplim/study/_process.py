"""The process of a job: it starts, does its work and ends, and is of no use to anybody afterwards."""

from __future__ import annotations

import atexit
import gc
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proplim.study._log import job_log

COLLECT_AFTER = 1_000_000
"""Objects that are made before Python looks for those of no use, in a process for which memory is no matter."""

KIB = 1024.0
"""Bytes of the unit in which Linux counts memory; macOS counts bytes."""

_USUAL = gc.get_threshold()


@contextmanager
def job_process(log: str | Path) -> Iterator[None]:
    """Do the work of a job in a process that ends with it.

    A script of the workflow has this around all that it does, imports too: what they say is in the log.

    Parameters
    ----------
    log : path
        As for :func:`proplim.study.job_log`.

    Notes
    -----
    Until the job computes, Python looks for objects of no use rarely (:func:`collect_rarely`). The process ends here,
    without taking apart, object by object, what Python has loaded: that takes a fifth of the time of the imports.
    Functions registered with :mod:`atexit` are called as ever. An exception leaves the block.
    """
    collect_rarely()
    with job_log(log):
        yield
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(os.EX_OK)


def peak_memory_mb() -> float:
    """The most memory that this process, or one that it has started, has had in use so far."""
    largest = max(
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return largest * (1.0 if sys.platform == "darwin" else KIB) / 1e6


def collect_rarely() -> None:
    """Let this process look for objects of no use rarely: imports and pages of figures make many, most of which stay.

    Only for a process of its own that is short and small, or until it begins to compute.
    """
    gc.set_threshold(COLLECT_AFTER)


def collect_as_usual() -> None:
    """Let this process look for objects of no use as often as Python does by itself: a few may hold large arrays.

    Libraries that every stage needs are loaded before, and what is loaded by now is never looked through again.
    """
    import xarray  # noqa: F401

    gc.freeze()
    gc.set_threshold(*_USUAL)
