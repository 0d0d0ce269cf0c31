"""A user's own arrays in one .npz or netCDF file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from proplim.errors import InvalidInput

_POOL = ("x", "y")
_SPLITS = ("x_train", "y_train", "x_test", "y_test")


def load_file(path: Path) -> dict[str, np.ndarray]:
    """Read and validate the arrays of a data file.

    Parameters
    ----------
    path : Path
        ``.npz`` or ``.nc`` with either x (M, N0) and y (M,), or x_train, y_train, x_test, y_test.

    Returns
    -------
    dict
        The arrays as float64, with either the first or the second set of keys.

    Raises
    ------
    InvalidInput
        If the file cannot be read, arrays are missing, shapes disagree, values are not finite or labels
        are not -1 and +1.
    """
    arrays = _read(path)
    names = _SPLITS if "x_train" in arrays else _POOL
    missing = [name for name in names if name not in arrays]
    if missing:
        raise InvalidInput(
            "path",
            str(path),
            f"array {missing[0]} is missing; the file holds x, y or x_train, y_train, x_test, y_test",
        )
    result = {}
    for name in names:
        try:
            result[name] = np.asarray(arrays[name], dtype=np.float64)
        except (TypeError, ValueError):
            raise InvalidInput("path", str(path), f"array {name} must hold numbers") from None
    for x_name, y_name in zip(names[0::2], names[1::2], strict=True):
        _check_pair(path, x_name, result[x_name], y_name, result[y_name])
    if names is _SPLITS and result["x_train"].shape[1] != result["x_test"].shape[1]:
        raise InvalidInput("path", str(path), "x_train and x_test must have the same number of features")
    return result


def file_hash(path: Path) -> str:
    """Content hash of a data file: what it is, wherever it lies."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _read(path: Path) -> dict[str, np.ndarray]:
    if path.suffix not in (".npz", ".nc"):
        raise InvalidInput("path", str(path), "a file ending in .npz or .nc")
    if not path.is_file():
        raise InvalidInput("path", str(path), "an existing file")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files if name in (*_POOL, *_SPLITS)}
        import xarray as xr

        with xr.open_dataset(path, engine="netcdf4") as dataset:
            return {name: dataset[name].values for name in (*_POOL, *_SPLITS) if name in dataset.variables}
    except Exception as error:  # NumPy, zipfile and netCDF each raise their own kinds for a damaged file
        raise InvalidInput("path", str(path), f"a readable {path.suffix} file ({error})") from None


def _check_pair(path: Path, x_name: str, x: np.ndarray, y_name: str, y: np.ndarray) -> None:
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y) or x[:1].size == 0:
        raise InvalidInput(
            "path", str(path), f"{x_name} (M, N0) and {y_name} (M,); found shapes {x.shape} and {y.shape}"
        )
    for name, value in ((x_name, x), (y_name, y)):
        if not np.isfinite(value).all():
            raise InvalidInput(
                "path", str(path), f"array {name} holds NaN or infinite values; all must be finite"
            )
    if not np.isin(y, (-1.0, 1.0)).all():
        raise InvalidInput("path", str(path), f"labels {y_name} must be -1 or +1")
    if len(set(y.tolist())) < 2 and y_name != "y_test":
        raise InvalidInput("path", str(path), f"labels {y_name} must hold both classes, -1 and +1")
