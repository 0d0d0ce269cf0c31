"""The log of a job: everything that it and the processes it starts write, kept in a file and shown as before."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import proplim

_BLOCK = 65536
_STREAMS = (1, 2)
"""Descriptors of standard output and error."""
_PATIENCE = 5.0
"""Seconds that the end of a job waits for what processes of its own still write."""


@contextmanager
def job_log(path: str | Path) -> Iterator[None]:
    """Copy standard output and error to a file, below Python, so that libraries and worker processes are in it.

    The file also says when the job started, with which versions, and how it ended.

    Parameters
    ----------
    path : path
        Renewed; its folder is made if need be.

    Notes
    -----
    Both streams come out on standard error, where Snakemake shows them. The traceback of an exception that leaves the
    block is in the file; it is not shown twice.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb", buffering=0) as log:
        started = time.perf_counter()
        log.write(f"{time.strftime('%F %T')}, proplim {proplim.__version__}, Python {_python()}\n".encode())
        shown = [os.dup(stream) for stream in _STREAMS]
        reader, writer = os.pipe()
        copier = threading.Thread(target=_copy, args=(reader, log, shown[-1]), daemon=True)
        copier.start()
        trace = ""
        try:
            _redirect([writer] * len(_STREAMS))
            os.close(writer)
            yield
        except BaseException:
            trace = traceback.format_exc()
            raise
        finally:
            _flush()
            _redirect(shown)
            copier.join(_PATIENCE)
            for stream in shown:
                os.close(stream)
            seconds = time.perf_counter() - started
            end = f"{'failed' if trace else 'done'} after {seconds:.1f} s"
            log.write(f"{trace}{end}, {_processor_seconds():.2f} s of processor time\n".encode())


def _processor_seconds() -> float:
    """Of this process since its start, and of those that it has waited for."""
    return sum(os.times()[:4])


def _python() -> str:
    return sys.version.split()[0]


def _redirect(targets: list[int]) -> None:
    for stream, target in zip(_STREAMS, targets, strict=True):
        os.dup2(target, stream)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _copy(reader: int, log: BinaryIO, shown: int) -> None:
    with open(reader, "rb", buffering=0) as stream:
        while block := stream.read(_BLOCK):
            log.write(block)
            os.write(shown, block)
