"""File systems without file locks: a run does without them, and whoever reads a cube there is told what to do."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

from proplim.cube import read_netcdf, write_netcdf
from proplim.cube._locks import SWITCH, NoFileLocks, do_without_locks, locks_explained
from proplim.query import open_cube

ERRORS = (errno.EAGAIN, errno.ENOLCK, errno.EOPNOTSUPP)


@pytest.fixture(autouse=True)
def nothing_switched(monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)


@pytest.fixture
def lockless(monkeypatch):
    """Locks are refused by this error number, as Python asks for them."""
    import fcntl

    def install(number: int) -> None:
        def refuse(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", refuse)

    return install


@pytest.fixture
def cube(tmp_path) -> Path:
    return write_netcdf(xr.Dataset({"a": ("x", [1.0, 2.0])}), tmp_path / "Größe 1" / "a cube.nc")


@pytest.mark.parametrize("number", ERRORS)
def test_a_run_switches_locks_off_and_says_so_once(number, lockless, tmp_path):
    lockless(number)
    try:
        notice = do_without_locks(tmp_path)
        assert os.strerror(number) in notice
        assert f"{SWITCH}=FALSE" in notice
        assert "\n" not in notice
        assert os.environ[SWITCH] == "FALSE"
        assert do_without_locks(tmp_path) == ""
    finally:
        os.environ.pop(SWITCH, None)


def test_locks_stay_on_where_they_are_given(tmp_path):
    assert do_without_locks(tmp_path) == ""
    assert SWITCH not in os.environ
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [*ERRORS, errno.EACCES, -101])
@pytest.mark.parametrize("read", [read_netcdf, open_cube])
def test_a_cube_without_locks_is_not_called_damaged(number, read, lockless, cube, monkeypatch):
    """-101 and "permission denied" are what netCDF makes of a refused lock."""
    lockless(errno.ENOLCK)

    def refuse(*_, **__):
        raise OSError(number, "as netCDF says it", str(cube))

    monkeypatch.setattr(xr, "open_dataset", refuse)
    with pytest.raises(NoFileLocks, match=rf"a cube.nc.*no file locks.*{SWITCH}=FALSE") as told:
        read(cube)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC, -101])
def test_other_errors_stay_what_they_are(number, cube):
    with pytest.raises(OSError) as told, locks_explained(cube):  # noqa: PT011  (the number is looked at)
        raise OSError(number, "something else", str(cube))
    assert not isinstance(told.value, NoFileLocks)
    assert told.value.errno == number


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
def test_with_an_operating_system_that_refuses_every_lock(cube, tmp_path):
    """The library call itself fails, for HDF5 as for Python, as on a network drive without a lock server."""
    source = tmp_path / "flock.c"
    source.write_text(
        f"#include <errno.h>\nint flock(int fd, int op) {{ errno = {errno.ENOLCK}; return -1; }}\n"
    )
    library = tmp_path / "flock.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    command = [sys.executable, "-m", "proplim.cli", "query", str(cube), "--list"]
    command[1:3] = ["-c", "from proplim.cli import main; main()"]
    refused = {**os.environ, "LD_PRELOAD": str(library)}
    done = subprocess.run(command, env=refused, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no file locks" in done.stderr
    assert "Traceback" not in done.stderr
    switched = {**refused, SWITCH: "FALSE"}
    done = subprocess.run(command, env=switched, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    write = "import sys; from proplim.cube import read_netcdf, write_netcdf; "
    write += "write_netcdf(read_netcdf(sys.argv[1]), sys.argv[1] + '.copy')"
    command = [sys.executable, "-c", write, str(cube)]
    done = subprocess.run(command, env=switched, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
