"""A user's own arrays in one .npz or netCDF file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field

from proplim.datasets._files import HASH_LENGTH, resolve_path
from proplim.datasets._settings import SourceSettings
from proplim.datasets._source import (
    Capacity,
    Drawn,
    Source,
    draw_from_pool,
    pool_capacity,
    register_source,
)
from proplim.errors import InvalidInput
from proplim.geometry import LABELS

SUFFIXES = (".npz", ".nc")
"""Kinds of files that can be read."""

_POOL = ("x", "y")
_SPLITS = ("x_train", "y_train", "x_test", "y_test")

_KEPT: dict[tuple[Path, str], dict[str, np.ndarray]] = {}
"""Arrays of the last file read, by path and content."""


def _named(path: Any) -> Any:
    if not str(path):
        raise ValueError("a file ending in .npz or .nc")
    return path


class FileSettings(SourceSettings):
    """A user's arrays in a .npz or .nc file."""

    path: Annotated[Path, BeforeValidator(_named)] = Field(
        description=".npz or .nc with x (M, N0), y (M,), or x_train, y_train, x_test, y_test"
    )
    standardize: bool = Field(default=False, description="subtract one scalar mean, divide by one scalar std")


class FileSource(Source):
    """A pool in a file, or training and test sets that are taken exactly as they are."""

    def capacity(self, settings: Any, folders: Sequence[Path] = (Path(),)) -> Capacity:
        """As :meth:`Source.capacity`."""
        arrays, _ = load_file(resolve_path(settings.path, folders))
        if "x_train" in arrays:
            return Capacity(len(arrays["x_train"]), exact=True)
        return pool_capacity(arrays["y"], settings)

    def draw(self, settings: Any, n_train: int, seed: int) -> Drawn:
        """As :meth:`Source.draw`."""
        arrays, content = load_file(settings.path)
        what = {**self.identity(settings), "content": content}
        if "x_train" not in arrays:
            x = arrays["x"]
            return draw_from_pool(x.reshape(len(x), -1), arrays["y"], what, settings, n_train, seed)
        x_train, y_train, x_test, y_test = (arrays[name] for name in _SPLITS)
        if len(x_train) != n_train:
            raise InvalidInput(
                "n_train", n_train, f"x_train of {settings.path} has exactly {len(x_train)} rows"
            )
        return Drawn(x_train, y_train, x_test, y_test, what)


def load_file(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """Read and validate the arrays of a data file.

    Parameters
    ----------
    path : Path
        ``.npz`` or ``.nc`` with either x (M, N0) and y (M,), or x_train, y_train, x_test, y_test.

    Returns
    -------
    arrays : dict
        The arrays as float64, with either the first or the second set of keys.
    content : str
        Hash of the very bytes that they were read from.

    Raises
    ------
    InvalidInput
        If the file cannot be read, arrays are missing, shapes disagree, values are not finite or labels
        are not -1 and +1.
    """
    if path.suffix not in SUFFIXES:
        raise InvalidInput("path", str(path), "a file ending in .npz or .nc")
    if not path.is_file():
        raise InvalidInput("path", str(path), "an existing file")
    raw = path.read_bytes()
    content = hashlib.sha256(raw).hexdigest()[:HASH_LENGTH]
    arrays = _KEPT.get((path, content))
    if arrays is None:
        arrays = _validated(path, _read(path, raw))
        _KEPT.clear()
        _KEPT[path, content] = arrays
    return arrays, content


def _validated(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
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


def _read(path: Path, raw: bytes) -> dict[str, np.ndarray]:
    wanted = (*_POOL, *_SPLITS)
    try:
        if path.suffix == ".npz":
            with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files if name in wanted}
        import netCDF4
        import xarray as xr

        with netCDF4.Dataset(path.name, memory=raw) as opened:
            dataset = xr.open_dataset(xr.backends.NetCDF4DataStore(opened))
            return {name: dataset[name].values for name in wanted if name in dataset.variables}
    except Exception as error:  # NumPy, zipfile and netCDF each raise their own kinds for a damaged file
        raise InvalidInput("path", str(path), f"a readable {path.suffix} file ({error})") from None


def _check_pair(path: Path, x_name: str, x: np.ndarray, y_name: str, y: np.ndarray) -> None:
    # Inputs of a pool may have more axes, which are flattened; given splits are taken as they are.
    shaped = x.ndim >= 2 if x_name in _POOL else x.ndim == 2
    if not shaped or y.ndim != 1 or len(x) != len(y) or x[:1].size == 0:
        raise InvalidInput(
            "path", str(path), f"{x_name} (M, N0) and {y_name} (M,); found shapes {x.shape} and {y.shape}"
        )
    for name, value in ((x_name, x), (y_name, y)):
        if not np.isfinite(value).all():
            raise InvalidInput(
                "path", str(path), f"array {name} holds NaN or infinite values; all must be finite"
            )
    if not np.isin(y, LABELS).all():
        raise InvalidInput("path", str(path), f"labels {y_name} must be -1 or +1")
    if len(set(y.tolist())) < len(LABELS) and y_name != "y_test":
        raise InvalidInput("path", str(path), f"labels {y_name} must hold both classes, -1 and +1")


register_source(FileSource(name="file", settings=FileSettings))
