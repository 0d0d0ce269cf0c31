"""Tables of grid points: what a job computes, on its way into a cube.

A table has the dimension ``point``, the grid coordinates as variables along it (data set and activation as
codes into lists kept as attributes), and the other dimensions of the cube as they are.

On disk it is a line with the SHA-256 of the rest, a line of JSON that says what the rest is, and one record for
each point: a cube is put together from ten thousand of them, and opening a netCDF file takes ten times longer
than reading such a table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from proplim.cube._files import DamagedFile, whole_file
from proplim.schema import AXES, coded_axes, grid_dims

if TYPE_CHECKING:
    import xarray as xr

CODED = coded_axes()
"""Axes whose values are kept as codes into a list of names."""
FORMAT = 1
_ATTRIBUTES = ("reasons", "failed", *(f"{name}_codes" for name in CODED))


@dataclass(frozen=True)
class Table:
    """Grid points and their values.

    Parameters
    ----------
    records : structured array (n_points,)
        One field for each grid coordinate and each variable.
    dims : dict
        Variable -> its dimensions beside ``point``.
    coords : dict
        Those dimensions -> coordinate values.
    codes : dict
        data set and activation -> the names that codes stand for.
    attributes : dict
        Variable -> attributes.
    reasons : dict
        Index of a point -> why it fell short.
    failed : list of int
        Points that have no values because computing them raised an error.
    about : dict
        How the table was made.
    """

    records: np.ndarray
    dims: dict[str, tuple[str, ...]]
    coords: dict[str, list]
    codes: dict[str, list[str]]
    attributes: dict[str, dict] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    failed: list[int] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)


def point_table(blocks: Sequence[tuple[Mapping[str, Any], xr.Dataset]], stage: str) -> xr.Dataset:
    """Stack results into one table of points.

    Parameters
    ----------
    blocks : sequence of (point, result)
        `point` gives the grid coordinates that `result` does not have as dimensions (scalars); `result` has
        any of the other grid dimensions, and the stage's own. Its attribute `reason`, if it has one, says why
        its points fell short, `reasons` (JSON: index of a point -> words) why single ones did, `failed` that they
        have no values because of an error. What a result lacks (one that failed has `converged` alone) is NaN.
    stage : str

    Returns
    -------
    xr.Dataset
        With the dimension `point`.
    """
    import xarray as xr

    dims = grid_dims(stage)
    codes: dict[str, list[str]] = {name: [] for name in CODED}
    coords = _coords_beside([r for _, r in blocks], dims)
    blocks = [(point, _over_all(result, coords)) for point, result in blocks]
    rest = _dims_beside(blocks, dims)
    sizes = {d: r.sizes[d] for _, r in blocks for d in r.dims if d not in dims}
    columns: dict[str, list[np.ndarray]] = {name: [] for name in (*dims, *rest)}
    reasons: dict[str, str] = {}
    failed: list[int] = []
    n_points = 0
    for point, result in blocks:
        axes = {d: result[d].values if d in result.dims else np.asarray([point[d]]) for d in dims}
        for name in CODED:
            axes[name] = np.array([_code(codes[name], str(v)) for v in axes[name]])
        shape = [len(values) for values in axes.values()]
        for name, values in zip(dims, np.meshgrid(*axes.values(), indexing="ij"), strict=True):
            columns[name].append(values.ravel())
        for name, own in rest.items():
            full = [*shape, *(sizes[d] for d in own)]
            values = _spread(result[name], (*dims, *own)) if name in result else np.float64(np.nan)
            columns[name].append(np.broadcast_to(values, full).reshape(-1, *full[len(dims) :]))
        count = int(np.prod(shape, dtype=np.int64))
        if result.attrs.get("reason"):
            reasons |= {str(n_points + i): str(result.attrs["reason"]) for i in range(count)}
        own = json.loads(result.attrs.get("reasons", "{}"))
        reasons |= {str(n_points + int(i)): text for i, text in own.items()}
        if result.attrs.get("failed"):
            failed += range(n_points, n_points + count)
        n_points += count
    attributes = {str(n): dict(v.attrs) for _, r in reversed(blocks) for n, v in r.data_vars.items()}
    variables = {
        name: (("point", *rest.get(name, ())), np.concatenate(values), attributes.get(name, {}))
        for name, values in columns.items()
    }
    attrs = {f"{name}_codes": json.dumps(codes[name]) for name in CODED}
    attrs |= {"reasons": json.dumps(reasons), "failed": json.dumps(failed)}
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def _coords_beside(results: Sequence[xr.Dataset], dims: Sequence[str]) -> dict[str, np.ndarray]:
    """Coordinates of the dimensions beside the grid: the union where data sets have other classes."""
    coords: dict[str, np.ndarray] = {}
    for result in results:
        for d in result.dims:
            if d in dims or d not in result.coords:
                continue
            values = result[d].values
            known = coords.setdefault(str(d), values)
            if not np.array_equal(known, values):
                coords[str(d)] = np.array(list(dict.fromkeys([*known.tolist(), *values.tolist()])))
    return coords


def _over_all(result: xr.Dataset, coords: Mapping[str, np.ndarray]) -> xr.Dataset:
    """A result over all of the coordinates, NaN where it has no values."""
    other = {
        d: v for d, v in coords.items() if d in result.coords and not np.array_equal(result[d].values, v)
    }
    if not other:
        return result
    # Numbers among texts are texts in the union.
    own = {d: result[d].values.astype(v.dtype) for d, v in other.items()}
    return result.assign_coords(own).reindex(other)


def _dims_beside(
    blocks: Sequence[tuple[Mapping[str, Any], xr.Dataset]], dims: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Variable -> its dimensions beside the grid, in the result that has most of them."""
    rest: dict[str, tuple[str, ...]] = {}
    for _, result in blocks:
        for name, variable in result.data_vars.items():
            own = tuple(str(d) for d in variable.dims if d not in dims)
            if len(own) >= len(rest.get(str(name), ())):
                rest[str(name)] = own
    return rest


def _spread(variable: xr.DataArray, dims: Sequence[str]) -> np.ndarray:
    """Values with all of `dims` in order, of length one where the variable does not have them."""
    values = variable.transpose(*(d for d in dims if d in variable.dims)).values
    return values.reshape([variable.sizes.get(d, 1) for d in dims])


def _code(known: list[str], value: str) -> int:
    if value not in known:
        known.append(value)
    return known.index(value)


def as_table(dataset: xr.Dataset) -> Table:
    """The same table as records."""
    columns = {str(n): np.asarray(v.transpose("point", ...).values) for n, v in dataset.data_vars.items()}
    dtype = [(n, v.dtype.str, v.shape[1:]) for n, v in columns.items()]
    records = np.empty(dataset.sizes["point"], dtype=dtype)
    for name, values in columns.items():
        records[name] = values
    names = [str(n) for n in dataset.data_vars if n not in AXES]
    return Table(
        records,
        {n: tuple(str(d) for d in dataset[n].dims if d != "point") for n in names},
        {str(d): dataset[d].values.tolist() for d in dataset.dims if d != "point" and d in dataset.coords},
        {n: json.loads(dataset.attrs[f"{n}_codes"]) for n in CODED},
        {n: dict(dataset[n].attrs) for n in names},
        {int(i): text for i, text in json.loads(dataset.attrs.get("reasons", "{}")).items()},
        json.loads(dataset.attrs.get("failed", "[]")),
        {k: v for k, v in dataset.attrs.items() if k not in _ATTRIBUTES},
    )


def write_table(dataset: xr.Dataset, path: str | Path) -> Path:
    """Write a table of points whole or not at all, with a checksum of its content.

    Parameters
    ----------
    dataset : xr.Dataset
        From :func:`point_table`; its attributes go along.
    path : str or Path
        Its folder is made if need be.
    """
    table, path = as_table(dataset), Path(path)
    about = {
        "format": FORMAT,
        "record": [
            (n, (d := table.records.dtype[n]).base.str, d.shape) for n in table.records.dtype.names or ()
        ],
        "dims": table.dims,
        "coords": table.coords,
        "codes": table.codes,
        "attributes": table.attributes,
        "reasons": table.reasons,
        "failed": table.failed,
        "about": table.about,
    }
    header = json.dumps(about, default=_plain)
    content = header.encode() + b"\n" + table.records.tobytes()
    with whole_file(path) as temporary, open(temporary, "wb") as stream:
        stream.write(hashlib.sha256(content).hexdigest().encode() + b"\n")
        stream.write(content)
    return path


def read_table(path: str | Path) -> Table:
    """Read a table written by :func:`write_table` and verify its checksum.

    Raises
    ------
    DamagedFile
        If the file cannot be read or its content differs from what was written.
    """
    checksum, _, content = Path(path).read_bytes().partition(b"\n")
    if checksum.decode(errors="replace") != hashlib.sha256(content).hexdigest():
        raise DamagedFile(f"{path} does not hold what was written to it; delete it and run again")
    header, _, raw = content.partition(b"\n")
    content = json.loads(header)
    if content["format"] != FORMAT:
        raise DamagedFile(f"{path} is of format {content['format']}, not {FORMAT}; delete it and run again")
    records = np.frombuffer(
        raw, dtype=[(name, kind, tuple(shape)) for name, kind, shape in content["record"]]
    )
    dims = {name: tuple(d) for name, d in content["dims"].items()}
    reasons = {int(i): text for i, text in content["reasons"].items()}
    return Table(
        records,
        dims,
        content["coords"],
        content["codes"],
        content["attributes"],
        reasons,
        content.get("failed", []),
        content["about"],
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
