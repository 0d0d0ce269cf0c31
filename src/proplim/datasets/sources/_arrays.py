"""Named arrays in a user's file: .npz, netCDF, .mat, .csv, or .npy files side by side."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from proplim.datasets._files import HASH_LENGTH
from proplim.errors import InvalidInput

NPY = ".npy"


class Names(NamedTuple):
    """What the arrays of a file are called: a pool `x` and `y`, or with _train and _test behind each."""

    x: str
    y: str

    @property
    def pool(self) -> tuple[str, str]:
        """Inputs and labels of a pool."""
        return self.x, self.y

    @property
    def splits(self) -> tuple[str, str, str, str]:
        """Inputs and labels of given training and test sets."""
        return f"{self.x}_train", f"{self.y}_train", f"{self.x}_test", f"{self.y}_test"

    @property
    def all(self) -> tuple[str, ...]:
        """All names that are looked for."""
        return *self.pool, *self.splits


class Unreadable(Exception):
    """A file does not hold what its ending says, in words for a user."""


def names_in(path: Path, x: str, y: str) -> Names:
    """Names of the arrays that `x` and `y` of a data set stand for.

    Of .npy files, names are those of files: `path` is that of the inputs, unless it is one of given training and
    test sets.
    """
    if path.suffix != NPY:
        return Names(x, y)
    default = Names("x", "y")
    given = Names(x.removesuffix(NPY), y.removesuffix(NPY))
    return Names(path.stem, given.y) if given.x == default.x and path.stem not in default.all else given


def files_at(path: Path, names: Names) -> list[Path]:
    """The files that arrays are read from: `path`, and the .npy files beside it that have one of the names."""
    if path.suffix != NPY:
        return [path]
    beside = (path.with_name(f"{name}{NPY}") for name in names.all)
    return list(dict.fromkeys([path, *(file for file in beside if file.is_file())]))


def read_arrays(path: Path, names: Names) -> tuple[dict[str, np.ndarray], str]:
    """Read those arrays of a file that are looked for.

    Parameters
    ----------
    path : Path
        One of :data:`SUFFIXES`. Of a .npy file, the arrays are the .npy files of its folder.
    names : Names

    Returns
    -------
    arrays : dict
        Those that are there, by name.
    content : str
        Hash of the very bytes that they were read from.

    Raises
    ------
    InvalidInput
        If the file cannot be read.
    """
    raws = {file: file.read_bytes() for file in files_at(path, names)}
    digests = [hashlib.sha256(raw).hexdigest() for raw in raws.values()]
    content = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    arrays: dict[str, np.ndarray] = {}
    for file, raw in raws.items():
        arrays |= _parsed(file, raw, names)
    return arrays, content[:HASH_LENGTH]


def _parsed(path: Path, raw: bytes, names: Names) -> dict[str, np.ndarray]:
    try:
        return READERS[path.suffix](path, raw, names)
    except Unreadable as error:
        raise InvalidInput("path", str(path), str(error)) from None
    except Exception as error:  # NumPy, zipfile, SciPy, pandas and netCDF each raise their own kinds
        reason = " ".join(str(error).split())
        raise InvalidInput("path", str(path), f"a readable {path.suffix} file ({reason})") from None


def _npz(path: Path, raw: bytes, names: Names) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files if name in names.all}


def _npy(path: Path, raw: bytes, names: Names) -> dict[str, np.ndarray]:
    return {path.stem: np.load(io.BytesIO(raw), allow_pickle=False)}


def _nc(path: Path, raw: bytes, names: Names) -> dict[str, np.ndarray]:
    import netCDF4
    import xarray as xr

    with netCDF4.Dataset("in-memory.nc", memory=raw) as opened:
        dataset = xr.open_dataset(xr.backends.NetCDF4DataStore(opened))
        found = {name: dataset[name].values for name in names.all if name in dataset.variables}
    return {name: _of_objects(array) for name, array in found.items()}


def _mat(path: Path, raw: bytes, names: Names) -> dict[str, np.ndarray]:
    from scipy.io import loadmat

    try:
        content = loadmat(io.BytesIO(raw), variable_names=list(names.all))
    except NotImplementedError:
        raise Unreadable("a .mat file of version 7 or older: save(..., '-v7') in MATLAB") from None
    found = {name: content[name] for name in names.all if name in content}
    # Texts come padded to one length, and numbers of a sparse matrix apart from their zeros.
    dense = {n: a.toarray() if hasattr(a, "toarray") else _of_objects(a) for n, a in found.items()}
    return {n: np.char.rstrip(a) if a.dtype.kind == "U" else a for n, a in dense.items()}


def _csv(path: Path, raw: bytes, names: Names) -> dict[str, np.ndarray]:
    """The column of labels, and all other columns as inputs."""
    import pandas as pd

    text = raw.decode("utf-8-sig")
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    table = pd.read_csv(
        io.StringIO(text),
        sep=separator,
        skipinitialspace=True,
        keep_default_na=False,
        na_values={name: [""] for name in header.strip().split(separator) if name != names.y},
    )
    columns = [str(column) for column in table.columns]
    if names.y not in columns:
        raise Unreadable(f"a column {names.y!r} of labels, or its name as `y`; found {_some(columns)}")
    nameless = [k for k, column in enumerate(columns, start=1) if column.startswith("Unnamed: ")]
    if nameless:
        raise Unreadable(
            f"a name above every column; column {nameless[0]} has none: is it a number of the row?"
        )
    inputs = table.drop(columns=names.y)
    for column in inputs.columns:
        if inputs[column].dtype.kind not in "biuf":
            words = pd.to_numeric(inputs[column], errors="coerce")
            first = inputs[column][words.isna()].iloc[0]
            raise Unreadable(f"numbers in every column but {names.y!r}; column {column!r} holds {first!r}")
        if inputs[column].isna().any():
            row = int(inputs[column].isna().to_numpy().argmax()) + 2
            raise Unreadable(f"a number in every cell; column {column!r} has none in line {row}")
    return {names.x: inputs.to_numpy(dtype=np.float64), names.y: _of_objects(table[names.y].to_numpy())}


def _of_objects(array: np.ndarray) -> np.ndarray:
    """An array of Python objects (texts of netCDF and csv, MATLAB's cells) as one of texts or numbers."""
    if array.dtype.kind != "O":
        return array.astype(str) if array.dtype.kind == "S" else array
    cells = [c.ravel() if isinstance(c, np.ndarray) else np.asarray([c]) for c in array.ravel()]
    plain = [cell[0] if cell.size == 1 else "" for cell in cells]
    return np.array([str(v) if isinstance(v, str) else v for v in plain]).reshape(array.shape)


def _some(columns: Iterable[str], limit: int = 12) -> str:
    names = [repr(column) for column in columns]
    return (
        ", ".join(names) if len(names) <= limit else ", ".join([*names[:limit], f"… ({len(names)} columns)"])
    )


READERS: dict[str, Callable[[Path, bytes, Names], dict[str, np.ndarray]]] = {
    ".npz": _npz,
    ".nc": _nc,
    NPY: _npy,
    ".mat": _mat,
    ".csv": _csv,
}
SUFFIXES = tuple(READERS)
"""Kinds of files that can be read."""
