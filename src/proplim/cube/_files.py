"""netCDF files that are either whole or absent, and that say when they are damaged.

A file is written under a temporary name in its own folder, flushed to the disk and renamed, so a killed
process leaves no half file under the real name. It carries a checksum of its content that a reader verifies.
"""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from proplim.cube._locks import NoFileLocks, locks_explained
from proplim.errors import ProplimError

if TYPE_CHECKING:
    import xarray as xr

CHECKSUM = "content_sha256"
GROUPS = "groups"
"""Attribute of the root that names the groups of a file."""
POSTERIOR = "posterior"
"""Group of the draws in a file of draws, as ArviZ names it."""
_COMPRESSION = {"zlib": True, "complevel": 1, "shuffle": True}


Array = tuple[tuple[str, ...], Any, Mapping[str, Any]]
"""Dimensions, values and attributes."""


class DamagedFile(ProplimError):
    """A file is cut short, unreadable or not what was written."""


def content_checksum(dataset: xr.Dataset) -> str:
    """SHA-256 of names, dimensions, dtypes and values of all variables and coordinates (not of attributes)."""
    return _checksum({str(name): (v.dims, np.asarray(v.values)) for name, v in dataset.variables.items()})


def _checksum(arrays: Mapping[str, tuple[tuple, np.ndarray]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        dims, values = arrays[name]
        if values.dtype.kind in "OUST":
            raw = "\0".join(map(str, values.ravel().tolist())).encode()
            kind = "text"
        else:
            raw, kind = np.ascontiguousarray(values).tobytes(), values.dtype.str
        digest.update(f"{name}|{dims}|{values.shape}|{kind}|".encode())
        digest.update(raw)
    return digest.hexdigest()


def write_netcdf(
    dataset: xr.Dataset,
    path: str | Path,
    *,
    compress: bool = True,
    groups: Mapping[str, xr.Dataset] = MappingProxyType({}),
) -> Path:
    """Write a data set to netCDF-4 atomically, with its checksum as a global attribute.

    Parameters
    ----------
    dataset : xr.Dataset
        In memory.
    path : str or Path
        Its folder is made if need be.
    compress : bool
        Whether numeric variables with more than a kilobyte are deflated.
    groups : mapping
        Groups of the file beside the data set, which is its root; each has a checksum of its own.

    Returns
    -------
    Path
        `path`.
    """
    path = Path(path)
    root = dataset.assign_attrs({GROUPS: " ".join(groups)}) if groups else dataset
    with whole_file(path) as temporary:
        _write(root, temporary, compress, mode="w")
        for name, group in groups.items():
            _write(group, temporary, compress, mode="a", group=name)
    return path


def _write(dataset: xr.Dataset, path: str, compress: bool, **where: Any) -> None:
    dataset = dataset.assign_attrs({CHECKSUM: content_checksum(dataset)})
    encoding: dict[str, dict] = {
        str(name): dict(_COMPRESSION)
        for name, variable in dataset.variables.items()
        if compress and _is_deflated(variable.dtype, variable.nbytes)
    }
    for name, variable in dataset.variables.items():
        if variable.dtype.kind == "f":
            # NaN is the fill value of netCDF floats; declaring it makes other readers agree.
            encoding.setdefault(str(name), {})["_FillValue"] = np.nan if name not in dataset.coords else None
    with _interrupted_later():
        dataset.to_netcdf(path, engine="netcdf4", format="NETCDF4", encoding=encoding, **where)


@contextmanager
def _interrupted_later() -> Iterator[None]:
    """Ctrl-C counts when this is done.

    An interruption that meets xarray while it takes its locks leaves one taken, and closing the file then waits for it
    for ever.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    pressed: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: pressed.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if pressed:
        handler(*pressed[0])


def write_arrays(arrays: Mapping[str, Array], attrs: Mapping[str, Any], path: str | Path) -> Path:
    """Write arrays of numbers as :func:`write_netcdf` writes a data set of them.

    Without xarray, whose import takes longer than all that a small job does.

    Parameters
    ----------
    arrays : mapping
        Name -> dimensions, values and attributes; no coordinates.
    attrs : mapping
        Global attributes.
    path : str or Path
        Its folder is made if need be.

    Returns
    -------
    Path
        `path`.
    """
    import netCDF4

    path = Path(path)
    known = {name: (dims, np.asarray(values)) for name, (dims, values, _) in arrays.items()}
    with whole_file(path) as temporary, netCDF4.Dataset(temporary, "w", format="NETCDF4") as file:
        for name, (dims, values) in known.items():
            for dim, size in zip(dims, values.shape, strict=True):
                if dim not in file.dimensions:
                    file.createDimension(dim, size)
            options: dict[str, Any] = {"fill_value": np.nan} if values.dtype.kind == "f" else {}
            if _is_deflated(values.dtype, values.nbytes):
                options |= _COMPRESSION
            variable = file.createVariable(name, values.dtype, dims, **options)
            variable.setncatts(arrays[name][2])
            variable[:] = values
        file.setncatts({**attrs, CHECKSUM: _checksum(known)})
    return path


def _is_deflated(dtype: np.dtype, nbytes: int) -> bool:
    return dtype.kind in "fiu" and nbytes > 1024


@contextmanager
def whole_file(path: Path) -> Iterator[str]:
    """Give a temporary file in the folder of `path` to write to; it becomes `path` when all is written, or vanishes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    try:
        with locks_explained(temporary, path):
            yield temporary
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_netcdf(path: str | Path) -> xr.Dataset:
    """Read a file written by :func:`write_netcdf` into memory and verify its checksum.

    Raises
    ------
    DamagedFile
        If the file cannot be read or its content differs from what was written.
    """
    return _verified(path, load=True)


def open_netcdf(path: str | Path) -> xr.Dataset:
    """Verify a file variable by variable, then open it without reading it into memory.

    Raises
    ------
    DamagedFile
        As :func:`read_netcdf`.
    """
    import xarray as xr

    _verified(path, load=False).close()
    with locks_explained(path):
        return xr.open_dataset(path, engine="netcdf4")


def _verified(path: str | Path, *, load: bool) -> xr.Dataset:
    import xarray as xr

    try:
        with locks_explained(path), xr.open_dataset(path, engine="netcdf4", cache=load) as stored:
            dataset = stored.load() if load else stored
            whole = dataset.attrs.get(CHECKSUM) == content_checksum(dataset)
        for name in str(dataset.attrs.get(GROUPS, "")).split():
            with xr.open_dataset(path, engine="netcdf4", group=name) as group:
                whole = whole and group.attrs.get(CHECKSUM) == content_checksum(group)
    except (FileNotFoundError, NoFileLocks):
        raise
    except Exception as error:  # netCDF4 and HDF5 raise OSError, RuntimeError and others for damaged files
        raise DamagedFile(f"{path} is damaged ({error}); delete it and run again") from None
    if not whole:
        raise DamagedFile(f"{path} does not hold what was written to it; delete it and run again")
    return dataset


def open_draws(path: str | Path) -> xr.Dataset:
    """Draws of the observables of a sampled point, with the attributes of the file.

    They are in the group `posterior`; in files of older versions in the root.
    """
    import xarray as xr

    with locks_explained(path), xr.open_dataset(path, engine="netcdf4") as root:
        if POSTERIOR not in str(root.attrs.get(GROUPS, "")).split():
            return root.load()
        attributes = dict(root.attrs)
    with xr.open_dataset(path, engine="netcdf4", group=POSTERIOR) as draws:
        return draws.load().assign_attrs(attributes)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
