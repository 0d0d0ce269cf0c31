"""T*: the temperature at which the class distance is largest, read off a temperature axis."""

from __future__ import annotations

import numpy as np
import xarray as xr

from proplim.errors import InvalidInput


def parabola_vertex(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Vertex (x*, y*) of the parabola through three points with distinct, ordered `x` and a maximum inside.

    Parameters
    ----------
    x, y : (3,) arrays
    """
    left, right = (y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1])
    curvature = (right - left) / (x[2] - x[0])
    if curvature >= 0.0:  # three equal values: the middle one is as good as any
        return float(x[1]), float(y[1])
    vertex = 0.5 * (x[0] + x[1]) - left / (2.0 * curvature)
    vertex = float(np.clip(vertex, x[0], x[2]))
    height = y[0] + (vertex - x[0]) * (left + curvature * (vertex - x[1]))
    return vertex, float(height)


def parabola_peak(axis: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Position and height of the maximum of one curve over a positive axis (temperature, time), in any order.

    NaN where the largest finite value lies at an end of the axis.
    """
    finite = np.flatnonzero(np.isfinite(values))
    if finite.size < 3:
        return np.nan, np.nan
    finite = finite[np.argsort(axis[finite], kind="stable")]
    t, d = axis[finite], values[finite]
    top = int(np.argmax(d))
    if top in (0, finite.size - 1):
        return np.nan, np.nan
    three = slice(top - 1, top + 2)
    log_t, height = parabola_vertex(np.log(t[three]), d[three])
    return float(np.exp(log_t)), height


def peak_temperature(values: xr.DataArray, dim: str = "temperature") -> xr.Dataset:
    """Where a quantity is largest along an axis, between grid points, and how large it is there.

    The vertex of the parabola in ln T through the largest grid value and its two neighbours. It is as good as
    the axis is fine: the theory cube also stores T* from a continuous optimisation where it has one.

    Parameters
    ----------
    values : xarray.DataArray
        Usually ``centroid_distance_sq``, with dimension `dim`.
    dim : str
        Axis of positive values along which to look, ``temperature`` or ``time``.

    Returns
    -------
    xarray.Dataset
        ``position`` (units of `dim`) and ``height`` (units of `values`) over the remaining dimensions; NaN
        where the quantity is monotone (its largest value lies at an end of the axis).

    Raises
    ------
    InvalidInput
        If `values` has no dimension `dim`.
    """
    if dim not in values.dims:
        raise InvalidInput("dim", dim, f"one of the array's dimensions: {', '.join(map(str, values.dims))}")
    positive = values.sel({dim: values[dim] > 0})
    axis = np.asarray(positive[dim].values, dtype=float)
    peak = xr.apply_ufunc(
        lambda block: np.apply_along_axis(lambda curve: np.array(parabola_peak(axis, curve)), -1, block),
        positive.astype(float),
        input_core_dims=[[dim]],
        output_core_dims=[["_which"]],
    )
    position, height = peak.isel(_which=0), peak.isel(_which=1)
    position.attrs = {"long_name": f"{dim} of the largest {values.name}", "units": "1"}
    height.attrs = {
        "long_name": f"largest {values.name} along {dim}",
        "units": values.attrs.get("units", "1"),
    }
    return xr.Dataset({"position": position, "height": height})
