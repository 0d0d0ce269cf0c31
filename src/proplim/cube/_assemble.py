"""From results of jobs, each a table of grid points, to one cube over the full grid.

A table has the dimension ``point`` with the grid coordinates as variables along it (data set and activation
as codes into lists kept as attributes), and the other dimensions of the cube as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from proplim.cube._files import read_netcdf
from proplim.cube.variables import GRID_DIMS, VARIABLES, variables_of

_CODED = ("dataset", "activation")
_MISSING = "not computed"
_SHORT = "fell short of its convergence criteria"
_MEANINGS = ("fine", _MISSING, _SHORT)


def grid_dims(stage: str) -> tuple[str, ...]:
    """Grid dimensions of a stage's cube, in order; dynamics has no temperature."""
    return tuple(d for d in GRID_DIMS if stage != "dynamics" or d != "temperature")


def point_table(blocks: Sequence[tuple[Mapping[str, Any], xr.Dataset]], stage: str) -> xr.Dataset:
    """Stack results into one table of points.

    Parameters
    ----------
    blocks : sequence of (point, result)
        `point` gives the grid coordinates that `result` does not have as dimensions (scalars); `result` has
        any of the other grid dimensions, and the stage's own. Its attribute `reason`, if it has one, says why
        its points fell short.
    stage : str

    Returns
    -------
    xr.Dataset
        With the dimension `point`.
    """
    dims = grid_dims(stage)
    tables = []
    reasons: list[str] = []
    codes: dict[str, list[str]] = {name: [] for name in _CODED}
    for point, result in blocks:
        result = result.drop_vars([d for d in dims if d in result.coords and d not in result.dims])
        result = result.expand_dims({d: [point[d]] for d in dims if d not in result.dims})
        for name in _CODED:
            for value in result[name].values:
                if str(value) not in codes[name]:
                    codes[name].append(str(value))
            result = result.assign_coords({name: [codes[name].index(str(v)) for v in result[name].values]})
        stacked = {}
        shape = tuple(result.sizes[d] for d in dims)
        for name, variable in result.data_vars.items():
            rest = tuple(d for d in variable.dims if d not in dims)
            missing = [d for d in dims if d not in variable.dims]
            full = variable.expand_dims({d: result[d].values for d in missing}) if missing else variable
            values = full.transpose(*dims, *rest).values
            stacked[name] = (("point", *rest), values.reshape(-1, *values.shape[len(dims) :]), variable.attrs)
        mesh = np.meshgrid(*(result[d].values for d in dims), indexing="ij")
        for name, values in zip(dims, mesh, strict=True):
            stacked[name] = (("point",), values.reshape(int(np.prod(shape))))
        own = {d: result[d] for d in result.dims if d not in dims and d in result.coords}
        tables.append(xr.Dataset(stacked, coords=own))
        reasons += [str(result.attrs.get("reason", ""))] * int(np.prod(shape))
    # A block that failed has `converged` alone; what it lacks is NaN.
    table = tables[0] if len(tables) == 1 else xr.concat(tables, "point", join="outer", coords="minimal")
    failed = {str(i): reason for i, reason in enumerate(reasons) if reason}
    codes_as_text = {f"{name}_codes": json.dumps(codes[name]) for name in _CODED}
    return xr.Dataset(table.data_vars, table.coords, attrs={**codes_as_text, "reasons": json.dumps(failed)})


def assemble_cube(
    stage: str, axes: Mapping[str, Sequence], own_coords: Mapping[str, Sequence], tables: Iterable[xr.Dataset | Path]
) -> xr.Dataset:
    """Put tables of points into one cube over the product of `axes`.

    Parameters
    ----------
    stage : {"theory", "sampling", "dynamics"}
    axes : mapping
        Grid dimension -> coordinate values, for every dimension of :func:`grid_dims`.
    own_coords : mapping
        The stage's own dimensions and their coordinates (approximation; statistic; optimizer, replica, time).
    tables : iterable of Dataset or Path
        Read one at a time.

    Returns
    -------
    xr.Dataset
        Every variable of the stage over the full grid; a point that no table holds is NaN with converged = 0.
    """
    dims = grid_dims(stage)
    indexers = {d: {_key(d, v): i for i, v in enumerate(axes[d])} for d in dims}
    arrays: dict[str, np.ndarray] = {}
    own_dims: dict[str, tuple[str, ...]] = {}
    rest_dims: dict[str, tuple[str, ...]] = {}
    attributes: dict[str, dict] = {}
    coords = {**{d: list(axes[d]) for d in dims}, **own_coords, "split": ["train", "test"], "label": [-1, 1]}

    def allocate(name: str, rest: tuple[str, ...]) -> None:
        without = VARIABLES[name].without if name in VARIABLES else ()
        own_dims[name] = tuple(d for d in dims if d not in without)
        rest_dims[name] = tuple(d for d in rest if d not in without)
        sizes = [len(coords[d]) for d in (*own_dims[name], *rest_dims[name])]
        arrays[name] = np.full(sizes, np.nan)

    meanings = list(_MEANINGS)
    reason = np.full([len(axes[d]) for d in dims], _MEANINGS.index(_MISSING), dtype=np.int16)
    for table in tables:
        table = read_netcdf(table) if isinstance(table, Path) else table
        index = _point_index(table, dims, indexers)
        wanted = np.all(np.stack(index) >= 0, axis=0)
        where = tuple(i[wanted] for i in index)
        reason[where] = _reason_codes(table, meanings)[wanted]
        own = {d: _positions(coords[d], table[d].values) for d in coords if d in table.dims}
        for name, values in table.data_vars.items():
            name = str(name)
            if name in dims:
                continue
            rest = tuple(d for d in (*own_coords, "split", "label") if d in values.dims)
            extra = [d for d in values.dims if d not in (*rest, "point")]
            if extra:
                raise ValueError(f"{name} has dimensions {extra} that the {stage} cube does not have")
            if name not in arrays:
                allocate(name, rest)
            attributes.setdefault(name, dict(values.attrs))
            source = values.transpose("point", *rest)
            for d in rest_dims[name]:
                if d not in rest:
                    source = source.expand_dims({d: len(coords[d])})
            block = source.transpose("point", *rest_dims[name]).values[wanted]
            target = arrays[name]
            picks = [own.get(d, np.arange(len(coords[d]))) for d in rest_dims[name]]
            offset = len(rest_dims[name])
            grid_index = tuple(
                w.reshape(-1, *(1,) * offset) for d, w in zip(dims, where, strict=True) if d in own_dims[name]
            )
            rest_index = tuple(
                np.asarray(p).reshape(1, *(-1 if k == j else 1 for k in range(offset))) for j, p in enumerate(picks)
            )
            target[grid_index + rest_index] = block
    for variable in variables_of(stage):
        if variable.name not in arrays:
            statistics = () if (stage, variable.name) == ("sampling", "converged") else tuple(own_coords)
            allocate(variable.name, (*statistics, *variable.dims))
    arrays["converged"] = np.nan_to_num(arrays["converged"], nan=0.0)
    fell_short = arrays["converged"].min(axis=tuple(range(len(dims), arrays["converged"].ndim))) < 1
    reason[fell_short & (reason == 0)] = _MEANINGS.index(_SHORT)
    cube = xr.Dataset({n: ((*own_dims[n], *rest_dims[n]), a) for n, a in arrays.items()}, coords=coords)
    what = {"long_name": "why a grid point fell short, an index into `meanings`", "meanings": json.dumps(meanings)}
    cube["reason"] = (dims, reason)
    return _describe(cube, {**attributes, "reason": what})


def _reason_codes(table: xr.Dataset, meanings: list[str]) -> np.ndarray:
    """Codes into `meanings` (extended by what is new) of the points of a table; 0 where nothing is said."""
    codes = np.zeros(table.sizes["point"], dtype=np.int16)
    for index, text in json.loads(table.attrs.get("reasons", "{}")).items():
        if text not in meanings:
            meanings.append(text)
        codes[int(index)] = meanings.index(text)
    return codes


def _point_index(table: xr.Dataset, dims: Sequence[str], indexers: Mapping[str, Mapping]) -> list[np.ndarray]:
    result = []
    for d in dims:
        values, inverse = np.unique(table[d].values, return_inverse=True)
        if d in _CODED:
            names = json.loads(table.attrs[f"{d}_codes"])
            keys = [names[int(v)] for v in values]
        else:
            keys = [_key(d, v) for v in values]
        result.append(np.array([indexers[d].get(k, -1) for k in keys])[inverse])
    return result


def _key(dim: str, value: Any) -> Any:
    if dim in _CODED:
        return str(value)
    return float(value) if dim in ("temperature", "lambda0", "lambda1") else int(value)


def _positions(axis: Sequence, values: np.ndarray) -> np.ndarray:
    lookup = {v: i for i, v in enumerate(axis)}
    return np.array([lookup[v] for v in values.tolist()])


_COORDINATE_ATTRIBUTES = {
    "dataset": {"long_name": "data set"},
    "activation": {"long_name": "activation function of the hidden units"},
    "n_train": {"long_name": "training-set size P", "units": "1"},
    "width": {"long_name": "width N", "units": "1"},
    "temperature": {"long_name": "temperature T", "units": "1"},
    "lambda0": {"long_name": "prior precision of the hidden weights", "units": "1"},
    "lambda1": {"long_name": "prior precision of the readout weights", "units": "1"},
    "seed": {"long_name": "draw of the training set", "units": "1"},
    "approximation": {"long_name": "theory"},
    "statistic": {"long_name": "statistic of the posterior draws"},
    "optimizer": {"long_name": "optimizer"},
    "replica": {"long_name": "network trained from its own draw of the prior", "units": "1"},
    "time": {"long_name": "continuous time, learning rate times step", "units": "1"},
    "split": {"long_name": "training or test inputs"},
    "label": {"long_name": "class label", "units": "1"},
}


def _describe(cube: xr.Dataset, attributes: Mapping[str, dict]) -> xr.Dataset:
    for name in cube.data_vars:
        known = VARIABLES.get(str(name))
        given = attributes.get(str(name), {})
        cube[name].attrs = {
            **given,
            "long_name": known.long_name if known else given.get("long_name", str(name).replace("_", " ")),
            "units": known.units if known else given.get("units", "1"),
        }
    for name in cube.coords:
        cube[name].attrs = dict(_COORDINATE_ATTRIBUTES[str(name)])
    return cube
