"""Selections from a cube: `name=value` in words, nearest or exact, to slices and tables."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from proplim._registry import did_you_mean
from proplim.cube._locks import NoFileLocks, locks_explained
from proplim.errors import InvalidInput
from proplim.query._order import dimension_rank
from proplim.schema import AXES, real_key

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("nearest", "exact")


def open_cube(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open a cube lazily.

    Raises
    ------
    InvalidInput
        If there is no such file, or it is not a netCDF file.
    """
    file = Path(path)
    if not file.is_file():
        raise InvalidInput("cube", str(path), "a netCDF file that exists, as in results/<study>/theory.nc")
    try:
        with locks_explained(file):
            return xr.open_dataset(file, engine="netcdf4")
    except NoFileLocks:
        raise
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0].split(": '")[0]
        raise InvalidInput("cube", str(path), f"a readable netCDF file ({reason})") from None


def parse_selection(words: Iterable[str]) -> dict[str, Any]:
    """Read selections as they are typed.

    Parameters
    ----------
    words : iterable of str
        ``axis=value``, ``axis=a,b,c`` (several values) or ``axis=low:high`` (a range, either end may be left
        out). Values stay text; :func:`select` reads them as the axis demands.

    Returns
    -------
    dict
        axis -> text, list of text, or (low, high).

    Raises
    ------
    InvalidInput
        If a word is not of that form, or an axis is named twice.
    """
    selection: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        name, value = name.strip(), value.strip()
        if not (equals and name and value):
            raise InvalidInput("selection", word, "write axis=value, axis=value,value or axis=low:high")
        if name in selection:
            raise InvalidInput("selection", word, f"{name} is selected twice; write {name}=value,value")
        if ":" in value:
            low, _, high = value.partition(":")
            selection[name] = (low.strip() or None, high.strip() or None)
        else:
            several = [v.strip() for v in value.split(",") if v.strip()]
            selection[name] = several if "," in value else value
    return selection


def select(cube: xr.Dataset, selection: Mapping[str, Any], *, method: str = "nearest") -> xr.Dataset:
    """Slice a cube by values of its axes.

    Parameters
    ----------
    cube : xarray.Dataset
    selection : mapping
        axis -> value (the axis goes), list of values (it stays) or (low, high), a closed range with None
        for an open end. Text is read as the axis demands.
    method : {"nearest", "exact"}
        For numbers: the nearest value of the axis, or an error where the axis does not hold the value
        (two numbers are one if they agree to twelve digits). Names are always exact.

    Raises
    ------
    InvalidInput
        For an axis that the cube does not have, a value that cannot be read, or (exact) one not on the axis.
    """
    if method not in METHODS:
        raise InvalidInput("method", method, f"choose from {', '.join(METHODS)}")
    for dim, wanted in selection.items():
        if dim not in cube.dims:
            if dim in cube.coords and cube[dim].ndim == 0:
                positions([wanted], cube[dim].values[None], dim, "exact")  # already one value: it must agree
                continue
            axes = [str(d) for d in cube.dims]
            raise InvalidInput(
                "selection", dim, f"an axis of this cube: {', '.join(axes)}{did_you_mean(dim, axes)}"
            )
        have = cube[dim].values
        if isinstance(wanted, tuple):
            cube = cube.isel({dim: _inside(have, wanted[0], wanted[1], dim)})
        elif isinstance(wanted, list | np.ndarray):
            cube = cube.isel({dim: positions(list(wanted), have, dim, method)})
        else:
            cube = cube.isel({dim: positions([wanted], have, dim, method)[0]})
    return cube


def positions(wanted: Sequence[Any], have: np.ndarray, dim: str, method: str) -> list[int]:
    """Position along an axis of each wanted value."""
    if have.dtype.kind not in "fiu":
        names = [str(v) for v in have]
        for value in wanted:
            if str(value) not in names:
                raise InvalidInput(dim, value, f"choose from {_listed(names)}")
        return [names.index(str(value)) for value in wanted]
    axis = have.astype(float)
    nearest = [_nearest(axis, _number(value, dim)) for value in wanted]
    if method == "exact":
        for value, index in zip(wanted, nearest, strict=True):
            if real_key(axis[index]) != real_key(value):
                shown = _listed([f"{v:g}" for v in axis])
                raise InvalidInput(dim, _plain(_number(value, dim)), f"choose from {shown}")
    return nearest


def _nearest(axis: np.ndarray, number: float) -> int:
    """Position of the nearest value: nearest in ratio among positive numbers, whose axes span decades."""
    positive = bool((axis > 0).all()) and number > 0
    distance = np.log(axis) - np.log(number) if positive else axis - number
    return int(np.argmin(np.abs(distance)))


def _inside(have: np.ndarray, low: Any, high: Any, dim: str) -> np.ndarray:
    """Positions in a closed range."""
    if have.dtype.kind not in "fiu":
        raise InvalidInput(dim, f"{low or ''}:{high or ''}", "a range needs an axis of numbers")
    axis = np.array([real_key(value) for value in have])
    lowest = -np.inf if low is None else real_key(_number(low, dim))
    highest = np.inf if high is None else real_key(_number(high, dim))
    chosen = np.flatnonzero((axis >= lowest) & (axis <= highest))
    if not chosen.size:
        raise InvalidInput(
            dim, f"{low or ''}:{high or ''}", f"the axis runs from {axis.min():g} to {axis.max():g}"
        )
    return chosen


def _number(value: Any, dim: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InvalidInput(dim, value, "a number") from None
    if not np.isfinite(number):
        raise InvalidInput(dim, value, "a finite number")
    return number


def _plain(number: float) -> float | int:
    return int(number) if number.is_integer() else number


def _listed(names: Sequence[str], limit: int = 12) -> str:
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown}, … ({len(names)} values)"


def pick_variables(cube: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """The named variables of a cube; all of them where no name is given.

    Raises
    ------
    InvalidInput
        For a name that the cube does not have, with the nearest that it has.
    """
    for name in names:
        if name not in cube.data_vars:
            known = [str(v) for v in cube.data_vars]
            raise InvalidInput(
                "variable", name, f"this cube has {', '.join(known)}{did_you_mean(name, known)}"
            )
    return cube[list(names)] if names else cube


def to_table(cube: xr.Dataset) -> pd.DataFrame:
    """A slice of a cube as a table: a row for each point, a column for each axis and each variable.

    Axes of a variable that others lack (split, label) are rows as well; what has no such axis is repeated.
    """
    import pandas as pd

    dims = sorted(map(str, cube.dims), key=dimension_rank)
    if not dims:
        row = {str(c): cube[c].item() for c in _scalar_coords(cube)}
        return pd.DataFrame([{**row, **{str(n): v.item() for n, v in cube.data_vars.items()}}])
    beside = [str(c) for c in cube.coords if c not in cube.dims and cube[c].ndim > 0]
    axes_beside = [c for c in beside if c in AXES]  # the width, where the load is the axis
    table = cube.drop_vars([c for c in beside if c not in axes_beside])
    frame = table.to_dataframe(dim_order=dims).reset_index()
    axes = sorted([*_scalar_coords(cube), *axes_beside, *dims], key=dimension_rank)
    return frame[[*axes, *(str(v) for v in cube.data_vars)]]


def _scalar_coords(cube: xr.Dataset) -> list[str]:
    return sorted((str(c) for c in cube.coords if cube[c].ndim == 0), key=dimension_rank)
