"""One order of every axis, so that no answer depends on the order in which a study lists its values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from proplim.dynamics import OPTIMIZERS
from proplim.schema import AXES, DIMENSIONS, SPLITS, STATISTICS
from proplim.theory import APPROXIMATIONS

PRIOR = "infinite_width"
"""Approximation in which nothing is learned: its observables are those of the prior at every temperature."""


def in_order(cube: xr.Dataset) -> xr.Dataset:
    """A cube with every axis in order.

    Numbers ascend; approximations, optimizers, splits and statistics come as their tables list them, other names by the
    alphabet. A cube that is in order is returned as it is.
    """
    for dim in map(str, cube.dims):
        if dim not in cube.coords:
            continue
        values = cube[dim].values.tolist()
        order = _order(dim, values)
        if order != list(range(len(values))):
            cube = cube.isel({dim: order})
    return cube


def dimension_rank(name: str) -> tuple[int, str]:
    """Where a dimension stands in tables: axes of the grid first, then the others as they are listed."""
    known = [*AXES, *DIMENSIONS]
    return (known.index(name) if name in known else len(known), name)


def _order(dim: str, values: Sequence[Any]) -> list[int]:
    """Positions of the values of a dimension, in order."""
    return sorted(range(len(values)), key=lambda i: _place(dim, values[i]))


def _place(dim: str, value: Any) -> tuple[int, Any]:
    listed = _listed(dim)
    if isinstance(value, str):
        return (listed.index(value) if value in listed else len(listed), value)
    return (0, value)


def _listed(dim: str) -> Sequence[str]:
    if dim == "approximation":
        return [a.name for a in APPROXIMATIONS.members()]
    if dim == "optimizer":
        return [o.name for o in OPTIMIZERS.members()]
    return {"split": SPLITS, "statistic": STATISTICS}.get(dim, ())


def plain_values(values: xr.DataArray) -> list:
    """Values of a coordinate, of one value or many, as plain Python objects."""
    return list(np.atleast_1d(values.values).tolist())
