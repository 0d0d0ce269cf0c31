"""Cubes as a script in a page reads them: axes, names and one block of float32 numbers."""

from __future__ import annotations

import base64
import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from proplim.cube import PARTIAL
from proplim.explore._symbols import symbol_of
from proplim.figures import approximation_look, optimizer_look
from proplim.observables import OBSERVABLES
from proplim.query import PRIOR, dimension_rank, in_order
from proplim.schema import AXES, DIMENSIONS, key_of

MAIN = (
    "centroid_distance_sq", "gyration_radius_sq", "normalized_centroid_distance_sq",
    "normalized_gyration_radius_sq", "mse", "bias_sq", "predictive_variance", "accuracy",
    "readout_variance", "hidden_trace_shift", "signal_variance", "readout_signal_covariance",
    "order_parameter", "peak_temperature",
)  # fmt: skip
"""Variables of the package that stay where a study is too large for a page with all of them; a user's stay too."""
KEPT_STATISTICS = ("mean", "mcse")
LINES = {"approximation": approximation_look, "optimizer": optimizer_look}
"""Dimensions that are drawn as lines of their own, never sliced, and their looks."""
AVERAGED = ("seed", "replica")
"""Dimensions over which a mean is shown unless the user asks for one value."""
WORD = r"\mathrm{"
"""A symbol that is a word says nothing beside the words."""
DASHES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}
"""Line styles of Matplotlib -> of the plotting library."""


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
        ``stages`` (stage -> axes, variables), ``numbers`` (base64 of little-endian float32), ``notes``,
        ``dimensions`` (what the page has to know of each), ``looks`` and ``prior`` (the approximation of the prior).

    Notes
    -----
    Every axis is in order, and equal values of two cubes are equal numbers in the page.
    """
    blocks: list[np.ndarray] = []
    stages: dict[str, Any] = {}
    notes: list[str] = []
    start = 0
    for stage, cube in cubes.items():
        if PARTIAL in cube.attrs:
            notes.append(f"{stage}: {cube.attrs[PARTIAL]}, these are partial results")
        reduced = in_order(fit(_without_diagnostics(in_order(cube)), max_values, stage, notes))
        variables = {}
        for name, values in reduced.data_vars.items():
            flat = np.ascontiguousarray(values.values, dtype="<f4").ravel()
            blocks.append(flat)
            variables[str(name)] = {
                "dims": list(values.dims),
                "start": start,
                "long_name": _long_name(values),
                "symbol": _symbol(OBSERVABLES.get(str(name)).symbol if name in OBSERVABLES else ""),
            }
            start += flat.size
        axes = {str(d): _axis(str(d), reduced[d]) for d in reduced.dims}
        stages[stage] = {"axes": axes, "variables": variables}
    raw = np.concatenate(blocks).tobytes() if blocks else b""
    return {
        "stages": stages,
        "numbers": base64.b64encode(raw).decode(),
        "notes": notes,
        "dimensions": _dimensions({d for stage in stages.values() for d in stage["axes"]}),
        "looks": _looks(stages),
        "prior": PRIOR,
    }


def _dimensions(names: set[str]) -> list[dict[str, Any]]:
    """What the page has to know of every dimension, in the order of its menus: names first, then numbers."""
    order = sorted(names, key=lambda name: (not _holds_names(name), dimension_rank(name)))
    return [
        {
            "name": name,
            "title": _title(name),
            "symbol": _symbol(_letter(name)),
            "logarithmic": _is_logarithmic(name),
            "averaged": name in AVERAGED,
            "sliced": name not in (*LINES, "statistic"),
        }
        for name in order
    ]


def _title(dim: str) -> str:
    """Words for an axis, without the symbol that follows them."""
    axis = AXES.get(dim)
    ending = f" {axis.symbol}" if axis is not None else ""
    if axis is not None and axis.long_name.endswith(ending):
        return axis.long_name.removesuffix(ending)
    return dim.replace("_", " ")


def _letter(dim: str) -> str:
    """LaTeX symbol of an axis of numbers; none of one of names."""
    if dim == "time":
        return "t"
    axis = AXES.get(dim)
    return axis.symbol if axis is not None and axis.kind != "name" and dim not in AVERAGED else ""


def _symbol(latex: str) -> dict[str, str] | None:
    """A symbol for axes and legends (HTML) and for menus (text); None where words say it better."""
    if not latex or latex.startswith(WORD):
        return None
    symbol = symbol_of(latex)
    return {"html": symbol.html, "text": symbol.text}


def _holds_names(dim: str) -> bool:
    if dim in AXES:
        return AXES[dim].kind == "name"
    return dim in DIMENSIONS and DIMENSIONS[dim].units is None


def _is_logarithmic(dim: str) -> bool:
    """Whether the values of a dimension are spread evenly in ratio: quantities that cannot be zero, and time."""
    if dim not in AXES:
        return dim == "time"
    axis = AXES[dim]
    return axis.kind == "real" or (axis.kind == "count" and axis.minimum > 0)


def _looks(stages: Mapping[str, Any]) -> dict[str, dict[str, dict[str, str]]]:
    """Dimension -> value -> colour, dash and title, of everything that is drawn as a line."""
    found: dict[str, dict[str, dict[str, str]]] = {dim: {} for dim in LINES}
    for stage in stages.values():
        for dim, look_of in LINES.items():
            for name in stage["axes"].get(dim, []):
                look = look_of(name)
                found[dim][name] = {
                    "color": look.color,
                    "dash": DASHES.get(look.linestyle, "solid"),
                    "title": look.title,
                }
    return found


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
        kept = [n for n in cube.data_vars if n in MAIN or n not in OBSERVABLES.built_in() or n == "converged"]
        if kept and len(kept) < len(cube.data_vars):
            notes.append(
                f"{stage}: {len(cube.data_vars) - len(kept)} variables are left out, the study is large"
            )
            cube = cube[kept]
    before: dict[Hashable, int] = dict(cube.sizes)
    while _size(cube) > max_values:
        long = [d for d in cube.dims if cube.sizes[d] > 2 and not _holds_names(str(d)) and d != "label"]
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


def _axis(dim: str, values: xr.DataArray) -> list:
    """Values of an axis as the keys they are compared by, so that the page compares them as they are."""
    plain = values.values.tolist()
    return [None if isinstance(v, float) and not math.isfinite(v) else key_of(dim, v) for v in plain]


def _long_name(values: xr.DataArray) -> str:
    name = str(values.name)
    return str(values.attrs.get("long_name", OBSERVABLES.get(name).long_name if name in OBSERVABLES else ""))
