"""Cubes as a script in a page reads them: axes, names and one block of float32 numbers."""

from __future__ import annotations

import base64
import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from proplim.observables import OBSERVABLES
from proplim.schema import AXES

MAIN = (
    "centroid_distance_sq", "gyration_radius_sq", "mse", "bias_sq", "predictive_variance", "accuracy",
    "readout_variance", "hidden_trace_shift", "signal_variance", "readout_signal_covariance",
    "order_parameter", "peak_temperature",
)  # fmt: skip
"""Variables that stay where a study is too large for a page with all of them."""
KEPT_STATISTICS = ("mean", "mcse")


def pack_cubes(cubes: Mapping[str, xr.Dataset], max_values: int) -> dict[str, Any]:
    """Everything the page needs from the cubes.

    Parameters
    ----------
    cubes : mapping
        Any of theory, sampling, dynamics.
    max_values : int
        Most numbers a cube may bring. A larger one loses the variables that are not in :data:`MAIN`, then
        every other value of its longest axis of numbers, until it fits; `notes` says so.

    Returns
    -------
    dict
        ``stages`` (stage -> axes, variables), ``numbers`` (base64 of little-endian float32) and ``notes``.
    """
    blocks: list[np.ndarray] = []
    stages: dict[str, Any] = {}
    notes: list[str] = []
    start = 0
    for stage, cube in cubes.items():
        reduced = fit(_without_diagnostics(cube), max_values, stage, notes)
        variables = {}
        for name, values in reduced.data_vars.items():
            flat = np.ascontiguousarray(values.values, dtype="<f4").ravel()
            blocks.append(flat)
            variables[str(name)] = {
                "dims": list(values.dims),
                "start": start,
                "long_name": _long_name(values),
            }
            start += flat.size
        stages[stage] = {"axes": {str(d): _axis(reduced[d]) for d in reduced.dims}, "variables": variables}
    raw = np.concatenate(blocks).tobytes() if blocks else b""
    return {"stages": stages, "numbers": base64.b64encode(raw).decode(), "notes": notes}


def _without_diagnostics(cube: xr.Dataset) -> xr.Dataset:
    """Numeric variables, of sampling only mean and mcse; axes without a coordinate get their positions."""
    numeric = [n for n, v in cube.data_vars.items() if v.dtype.kind in "fiub" and n != "reason"]
    cube = cube[numeric]
    if "statistic" in cube.dims:
        cube = cube.sel(statistic=[s for s in KEPT_STATISTICS if s in cube["statistic"].values])
    missing = {d: np.arange(cube.sizes[d]) for d in cube.dims if d not in cube.coords}
    return cube.assign_coords(missing) if missing else cube


def fit(cube: xr.Dataset, max_values: int, stage: str, notes: list[str]) -> xr.Dataset:
    """Cut a cube down to at most `max_values` numbers, and note what was left out."""
    if _size(cube) > max_values:
        kept = [n for n in cube.data_vars if n in MAIN or n == "converged"]
        if kept and len(kept) < len(cube.data_vars):
            notes.append(
                f"{stage}: {len(cube.data_vars) - len(kept)} variables are left out, the study is large"
            )
            cube = cube[kept]
    before: dict[Hashable, int] = dict(cube.sizes)
    while _size(cube) > max_values:
        long = [d for d in cube.dims if cube.sizes[d] > 2 and d in (*AXES, "replica", "time")]
        if not long:
            break
        dim = max(long, key=lambda d: cube.sizes[d])
        cube = cube.isel({dim: slice(None, None, 2)})
    for axis, size in before.items():
        if cube.sizes[axis] < size:
            notes.append(
                f"{stage}: {cube.sizes[axis]} of {size} values of {axis} are shown, the study is large"
            )
    return cube


def _size(cube: xr.Dataset) -> int:
    return sum(int(v.size) for v in cube.data_vars.values())


def _axis(values: xr.DataArray) -> list:
    plain = values.values.tolist()
    return [None if isinstance(v, float) and not math.isfinite(v) else v for v in plain]


def _long_name(values: xr.DataArray) -> str:
    name = str(values.name)
    return str(values.attrs.get("long_name", OBSERVABLES.get(name).long_name if name in OBSERVABLES else ""))
