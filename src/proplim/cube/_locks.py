"""File systems without file locks, on which HDF5 refuses to open a file unless it is told not to ask for them.

Files of a study are written under another name and renamed, so nobody ever reads one that is being written: no lock is
needed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proplim.errors import ProplimError

SWITCH = "HDF5_USE_FILE_LOCKING"
"""Variable of the environment by which HDF5 is told whether to lock files."""
_REFUSED = {errno.EAGAIN, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}
"""What a file system without locks, or one whose lock server does not answer, says to who asks for a lock."""
_DISGUISES = {errno.EACCES, -101}
"""As what netCDF passes that on: permission denied when it writes, "HDF error" when it reads."""


class NoFileLocks(ProplimError, OSError):
    """HDF5 asked for a lock that the file system does not give; the message says what to do."""


def locks_refused(path: str | Path) -> int:
    """Error number with which a lock on a file is refused; 0 where it is given, or the file cannot be opened."""
    try:
        stream = open(path, "rb")  # noqa: SIM115  (closed below; what it raises is another trouble)
    except OSError:
        return 0
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno if error.errno in _REFUSED else 0
    return 0


@contextmanager
def locks_explained(path: str | Path, name: str | Path = "") -> Iterator[None]:
    """Say what to do where HDF5 cannot lock a file; other errors pass.

    Parameters
    ----------
    path : path
        The file that is opened in the block.
    name : path, optional
        What the message calls it.

    Raises
    ------
    NoFileLocks
    """
    try:
        yield
    except OSError as error:
        number = error.errno if error.errno in _REFUSED else 0
        if error.errno in _DISGUISES:
            number = locks_refused(path)
        if not number or isinstance(error, NoFileLocks):
            raise
        raise NoFileLocks(
            f"{name or path}: the file system gives no file locks ({os.strerror(number)}); "
            f"set {SWITCH}=FALSE in the environment and run again"
        ) from None


def do_without_locks(folder: Path) -> str:
    """Switch HDF5's locks off for this process and what it starts, if `folder` has none.

    Returns
    -------
    str
        What was done, in a sentence; empty where nothing had to be.
    """
    if SWITCH in os.environ:
        return ""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".lock.", suffix=".part") as probe:
            number = locks_refused(probe.name)
    except OSError:  # nothing can be written there, which who writes first says better
        return ""
    if not number:
        return ""
    os.environ[SWITCH] = "FALSE"
    return (
        f"{folder}: the file system gives no file locks ({os.strerror(number)}), so this run does without them. "
        f"Set {SWITCH}=FALSE in the environment of whatever else reads these files"
    )
