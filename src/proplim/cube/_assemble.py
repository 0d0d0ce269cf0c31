"""From results of jobs, each a table of grid points, to one cube over the full grid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from proplim.cube._files import CHECKSUM, DamagedFile, whole_file
from proplim.cube._tables import Table, as_table, read_table
from proplim.geometry import LABELS
from proplim.observables import OBSERVABLES, axes_left_out, variables_of
from proplim.schema import (
    AXES,
    DIMENSIONS,
    SPLITS,
    Axis,
    Replaces,
    dims_in_chunk_order,
    grid_dims,
    replacement_of,
)

if TYPE_CHECKING:
    import xarray as xr

MEMORY = 512 * 2**20
"""Bytes of a cube held at a time while it is written; tables waiting to be placed hold a tenth of it."""

CHUNK = 2**17
"""Values in a chunk of a cube, one megabyte: what the smallest selection has to read and inflate."""

PARTIAL = "partial"
"""Global attribute of a cube some of whose points are in no table: how many."""

_MISSING = "not computed"
_SHORT = "fell short of its convergence criteria"
_MEANINGS = ("fine", _MISSING, _SHORT)
_REASON = "reason"


def assemble_cube(
    stage: str,
    axes: Mapping[str, Sequence],
    own_coords: Mapping[str, Sequence],
    tables: Iterable[xr.Dataset | Path],
    class_coords: Mapping[str, Sequence] | None = None,
) -> xr.Dataset:
    """Put tables of points into one cube over the product of `axes`, in memory.

    Parameters
    ----------
    stage : {"theory", "sampling", "dynamics"}
    axes : mapping
        Grid dimension -> coordinate values, in order: every one of :func:`grid_dims`, or what is in its place.
    own_coords : mapping
        The stage's own dimensions and their coordinates (approximation; statistic; optimizer, replica, time).
    tables : iterable of Dataset or Path
        Read one at a time.
    class_coords : mapping, optional
        Dimensions of the classes (label, and of three and more classes pair, output, output2) and their coordinates,
        over all data sets; left out: those of the tables, or of two classes.

    Returns
    -------
    xr.Dataset
        Every variable of the stage over the full grid; a point that no table holds is NaN with converged = 0.
    """
    import xarray as xr

    sources = [as_table(t) if isinstance(t, xr.Dataset) else t for t in tables]
    layout = _Layout(stage, axes, own_coords, _load(sources), class_coords or {})
    arrays = layout.fill(list(layout.dims), _load(sources))
    data = {name: (layout.dims[name], arrays[name], layout.attributes(name)) for name in layout.dims}
    cube = xr.Dataset(data, coords=layout.coords).set_coords(layout.replaced())
    for name in cube.coords:
        cube[name].attrs = layout.attributes(str(name))
    return cube.assign_attrs(layout.partial())


def write_cube(
    path: str | Path,
    stage: str,
    axes: Mapping[str, Sequence],
    own_coords: Mapping[str, Sequence],
    tables: Sequence[Path | Table],
    attrs: Mapping[str, str | float],
    *,
    class_coords: Mapping[str, Sequence] | None = None,
    repair: Callable[[Path], None] | None = None,
    memory: int = MEMORY,
) -> Path:
    """Put tables of points into a cube on disk, holding only some of its variables in memory at a time.

    Parameters
    ----------
    path : str or Path
        netCDF-4, deflated, in chunks of about a megabyte; whole or absent, with the checksum of
        :func:`~proplim.cube.write_netcdf`.
    stage, axes, own_coords
        As for :func:`assemble_cube`.
    tables : sequence of Path or Table
        Read once for each group of variables that fits into `memory`.
    attrs : mapping
        Global attributes; the wall time of all jobs is added to them, and where points are missing :data:`PARTIAL`.
    class_coords
        As for :func:`assemble_cube`.
    repair : callable
        Makes a table again that is missing or was damaged on the disk.
    memory : int
        Bytes.

    Raises
    ------
    DamagedFile
        If a table is damaged and there is no `repair`.
    """
    import netCDF4

    path = Path(path)
    held: list[Table | Path] = []
    known = _held(_load(tables, repair), tables, held, memory // 4)
    layout = _Layout(stage, axes, own_coords, known, class_coords or {})
    digest = hashlib.sha256()
    with whole_file(path) as temporary, netCDF4.Dataset(temporary, "w", format="NETCDF4") as file:
        file.setncatts({**attrs, "wall_time_seconds": round(layout.seconds, 3)})
        for name in layout.coords:
            file.createDimension(name, len(layout.coords[name]))
        for names in layout.groups(memory):
            arrays = layout.fill([n for n in names if n in layout.dims], _load(held))
            for name in names:
                dims = layout.dims.get(name, (name,))
                values: np.ndarray = arrays.pop(name) if name in arrays else np.asarray(layout.coords[name])
                attributes = {**layout.attributes(name), **_coordinates_of(name, dims, layout)}
                _write_variable(file, name, dims, values, attributes)
                _digest_variable(digest, name, dims, values)
        file.setncatts({CHECKSUM: digest.hexdigest(), **layout.partial()})
    return path


def _load(tables: Iterable[Table | Path], repair: Callable[[Path], None] | None = None) -> Iterator[Table]:
    for table in tables:
        if isinstance(table, Table):
            yield table
            continue
        try:
            yield read_table(table)
        except (DamagedFile, FileNotFoundError):
            if repair is None:
                raise
            repair(table)
            yield read_table(table)


def _held(
    tables: Iterable[Table], paths: Sequence[Path | Table], held: list[Table | Path], memory: int
) -> Iterator[Table]:
    """Pass tables on; `held` becomes the tables themselves as far as they fit in memory, then their paths."""
    size = 0
    for table, path in zip(tables, paths, strict=True):
        size += table.records.nbytes + 4096
        held.append(table if size <= memory else path)
        yield table


class _Layout:
    """Dimensions, coordinates and variables of a cube, and where a table's points go in it."""

    def __init__(
        self,
        stage: str,
        axes: Mapping[str, Sequence],
        own_coords: Mapping[str, Sequence],
        tables: Iterable[Table],
        class_coords: Mapping[str, Sequence],
    ) -> None:
        self.stage = stage
        self.grid = tuple(axes)
        self.own = tuple(own_coords)
        self.coords: dict[str, list] = {d: list(axes[d]) for d in self.grid}
        self.coords |= {d: list(values) for d, values in own_coords.items()} | {"split": list(SPLITS)}
        self.coords |= {d: list(values) for d, values in class_coords.items()}
        self._indexers = {d: {AXES[d].key(v): i for i, v in enumerate(self.coords[d])} for d in self.grid}
        self._given: dict[str, dict] = {}
        self.dims: dict[str, tuple[str, ...]] = {}
        self._replaced = {n: a for n in grid_dims(stage) if (a := replacement_of(n, self.grid)) is not None}
        said: set[str] = set()
        self.seconds = 0.0
        self.missing = 0
        for table in tables:
            said.update(table.reasons.values())
            self.seconds += float(table.about.get("wall_time_seconds", 0.0))
            self._gather_coords(table)
            for name, dims in table.dims.items():
                if name not in self.dims:
                    self._add(name, dims)
                    self._given[name] = table.attributes.get(name, {})
        self.coords.setdefault("label", list(LABELS))
        self.meanings = [*_MEANINGS, *sorted(said - set(_MEANINGS))]
        self.n_outputs = len(self.coords.get("output", [0]))
        for variable in variables_of(stage, self.n_outputs):
            if variable.name not in self.dims:
                own = () if (stage, variable.name) == ("sampling", "converged") else self.own
                self._add(variable.name, (*(d for d in own if d not in variable.without), *variable.dims))
        self.dims[_REASON] = self.grid
        for name, axis in self._replaced.items():
            self.dims[name] = tuple(d for d in self.grid if d in (axis.name, _rule(axis).beside))
        about = {"long_name": "why a grid point fell short, an index into `meanings`"}
        self._given[_REASON] = about | {"meanings": json.dumps(self.meanings)}

    def _gather_coords(self, table: Table) -> None:
        """Coordinates that belong to the data (classes and what is made of them): the union over all tables."""
        fixed = {*self.grid, *self.own, "split"}
        for dim, values in table.coords.items():
            if dim in DIMENSIONS and dim not in fixed:
                known = self.coords.setdefault(dim, [])
                said = [_as_among(known, value) for value in values]
                known += [value for value in said if value not in known]

    def _add(self, name: str, rest: Sequence[str]) -> None:
        unknown = [d for d in rest if d not in self.coords]
        if unknown:
            raise ValueError(f"{name} has dimensions {unknown} that the {self.stage} cube does not have")
        without = axes_left_out(name)
        order = (*self.grid, *(d for d in DIMENSIONS if d in rest))
        self.dims[name] = tuple(d for d in order if d not in without)

    def attributes(self, name: str) -> dict[str, str]:
        """Attributes of a variable or coordinate."""
        if name in self.coords or name in self._replaced:
            names = name in self.coords and any(isinstance(v, str) for v in self.coords[name])
            return {k: v for k, v in _coordinate_attributes(name).items() if not names or k != "units"}
        given = self._given.get(name, {})
        if name in OBSERVABLES:
            return {**given, **OBSERVABLES.get(name).for_outputs(self.n_outputs).attributes}
        return {"long_name": name.replace("_", " "), "units": "1", **given}

    def replaced(self) -> list[str]:
        """Axes of the point that are coordinates over others, which stand in their place."""
        return list(self._replaced)

    def partial(self) -> dict[str, str]:
        """The attribute that says how many points are in no table, once reasons are filled; none where all are."""
        points = np.prod([len(self.coords[d]) for d in self.grid], dtype=np.int64)
        return {PARTIAL: f"{self.missing} of {points} grid points are not computed"} if self.missing else {}

    def groups(self, memory: int) -> Iterator[list[str]]:
        """Names of variables and coordinates in the checksum's order, as many at a time as fit in memory."""
        group: list[str] = []
        held = 0
        for name in sorted([*self.dims, *self.coords]):
            size = 8 * int(
                np.prod([len(self.coords[d]) for d in self.dims.get(name, (name,))], dtype=np.int64)
            )
            if group and held + size > memory:
                yield group
                group, held = [], 0
            group.append(name)
            held += size
        yield group

    def fill(self, names: Sequence[str], tables: Iterable[Table]) -> dict[str, np.ndarray]:
        """Arrays of some variables over the full grid; a point of no table is NaN and has not converged.

        A point that failed in one table and has values in another, where it was tried again, has those values.
        """
        wanted_names = [*names, "converged"] if _REASON in names and "converged" not in names else list(names)
        arrays = {name: self._empty(name) for name in wanted_names}
        if not names:
            return arrays
        waiting: dict[tuple, list[tuple[Table, list[np.ndarray], np.ndarray]]] = {}
        failures: list[tuple[list[np.ndarray], np.ndarray]] = []
        held = 0
        for table in tables:
            wanted, index = self._index(table)
            if table.failed:
                lost = np.isin(wanted, table.failed)
                failures.append(([i[lost] for i in index], self._reason_codes(table)[wanted[lost]]))
                wanted, index = wanted[~lost], [i[~lost] for i in index]
            key = (table.records.dtype.descr.__repr__(), repr(table.coords), repr(table.dims))
            waiting.setdefault(key, []).append((table, index, wanted))
            held += table.records.nbytes
            if held > MEMORY // 10:
                self._place(arrays, waiting)
                held = 0
        self._place(arrays, waiting)
        if _REASON in arrays:
            missing = arrays[_REASON] == _MEANINGS.index(_MISSING)
            for where, codes in failures:
                still = missing[tuple(where)]
                arrays[_REASON][tuple(i[still] for i in where)] = codes[still]
            self.missing = int((arrays[_REASON] == _MEANINGS.index(_MISSING)).sum())
            self._forget_mended(arrays[_REASON])
        if "converged" in arrays:
            np.nan_to_num(arrays["converged"], copy=False, nan=0.0)
        if _REASON in arrays:
            short = arrays["converged"].min(axis=tuple(range(len(self.grid), arrays["converged"].ndim))) < 1
            arrays[_REASON][short & (arrays[_REASON] == 0)] = _MEANINGS.index(_SHORT)
        return {name: arrays[name] for name in names}

    def _forget_mended(self, codes: np.ndarray) -> None:
        """Leave out meanings that no point has any more, as if its failure had never been."""
        used = np.bincount(codes.ravel(), minlength=len(self.meanings)) > 0
        used[: len(_MEANINGS)] = True
        codes[...] = (np.cumsum(used) - 1)[codes]
        self.meanings = [text for text, kept in zip(self.meanings, used, strict=True) if kept]
        self._given[_REASON]["meanings"] = json.dumps(self.meanings)

    def _empty(self, name: str) -> np.ndarray:
        """A variable before any point is in its place."""
        if name in self._replaced:
            return self._replaced_values(name)
        shape = [len(self.coords[d]) for d in self.dims[name]]
        if name == _REASON:
            return np.full(shape, _MEANINGS.index(_MISSING), dtype=np.int16)
        return np.full(shape, np.nan)

    def _place(self, arrays: Mapping[str, np.ndarray], waiting: dict) -> None:
        for members in waiting.values():
            first = members[0][0]
            where = [np.concatenate(parts) for parts in zip(*(m[1] for m in members), strict=True)]
            if _REASON in arrays:
                codes = np.concatenate([self._reason_codes(table)[wanted] for table, _, wanted in members])
                arrays[_REASON][tuple(where)] = codes
            for name, target in arrays.items():
                if name in first.dims:
                    values = np.concatenate([table.records[name][wanted] for table, _, wanted in members])
                    self._put(target, name, first, where, values)
        waiting.clear()

    def _put(
        self, target: np.ndarray, name: str, table: Table, where: list[np.ndarray], values: np.ndarray
    ) -> None:
        """Values (points, ...) of a variable to their places, alike along dimensions that the table lacks."""
        grid = [i for d, i in zip(self.grid, where, strict=True) if d in self.dims[name]]
        rest = self.dims[name][len(grid) :]
        given = tuple(d for d in table.dims[name] if d in rest)
        values = values.transpose(0, *(1 + given.index(d) for d in rest if d in given))
        values = values.reshape(len(values), *(len(table.coords[d]) if d in given else 1 for d in rest))
        picks = [self._positions(d, table) if d in given else np.arange(len(self.coords[d])) for d in rest]
        shape = [1] * len(rest)
        index: list[np.ndarray] = [g.reshape(-1, *shape) for g in grid]
        for k, pick in enumerate(picks):
            index.append(pick.reshape(1, *(len(pick) if j == k else 1 for j in range(len(rest)))))
        target[tuple(index)] = values

    def _reason_codes(self, table: Table) -> np.ndarray:
        codes = np.zeros(len(table.records), dtype=np.int16)
        for index, text in table.reasons.items():
            codes[index] = self.meanings.index(text)
        return codes

    def _positions(self, dim: str, table: Table) -> np.ndarray:
        lookup = {v: i for i, v in enumerate(self.coords[dim])}
        return np.array([lookup[_as_among(self.coords[dim], v)] for v in table.coords[dim]])

    def _replaced_values(self, name: str) -> np.ndarray:
        """Values of an axis of the point over the two that it follows from."""
        axis, rule = self._replaced[name], _rule(self._replaced[name])
        along = {d: np.asarray(self.coords[d]) for d in self.dims[name]}
        shaped = dict(zip(along, np.ix_(*along.values()), strict=True))
        return np.asarray(rule.value(shaped[rule.beside], shaped[axis.name]))

    def _index(self, table: Table) -> tuple[np.ndarray, list[np.ndarray]]:
        """Records of a table that have a place in the cube, and their positions along each grid dimension.

        A record has as many places as values of an axis in place of another one stand for its own.
        """
        rows = np.arange(len(table.records))
        index: dict[str, np.ndarray] = {}
        for d in self.grid:
            if AXES[d].replaces is None:
                index[d] = self._places(table, d)
        for axis in self._replaced.values():
            rows, index = self._spread(table, axis, rows, index)
        wanted = np.all(np.stack(list(index.values())) >= 0, axis=0)
        return rows[wanted], [index[d][wanted] for d in self.grid]

    def _places(self, table: Table, d: str) -> np.ndarray:
        """Position of every record along a dimension, -1 where the cube does not have it."""
        column = table.records[d]
        if len(column) == 1:  # by far the most frequent table of a large study
            values, inverse = column, np.zeros(1, dtype=np.intp)
        else:
            values, inverse = np.unique(column, return_inverse=True)
        axis, codes = AXES[d], table.codes.get(d)
        keys = [codes[int(v)] for v in values] if codes is not None else [axis.key(v) for v in values]
        return np.array([self._indexers[d].get(k, -1) for k in keys])[inverse]

    def _spread(
        self, table: Table, axis: Axis, rows: np.ndarray, index: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Repeat records for every value of an axis that stands for theirs."""
        rule = _rule(axis)
        pairs = np.stack([table.records[rule.beside][rows], table.records[rule.axis][rows]])
        known, inverse = np.unique(pairs, axis=1, return_inverse=True)
        values = np.asarray(self.coords[axis.name])
        places = [np.flatnonzero(rule.value(beside, values) == value) for beside, value in known.T]
        found = [places[k] for k in inverse.ravel()]
        repeats = np.array([len(f) for f in found], dtype=np.intp)
        spread = {d: np.repeat(i, repeats) for d, i in index.items()}
        spread[axis.name] = np.concatenate(found) if found else np.zeros(0, dtype=np.intp)
        return np.repeat(rows, repeats), spread


def _as_among(known: Sequence, value: Any) -> Any:
    """A class as it stands in a coordinate: a text, where there are texts among the classes of a study."""
    return str(value) if known and isinstance(known[0], str) else value


def _rule(axis: Axis) -> Replaces:
    assert axis.replaces is not None
    return axis.replaces


def _coordinate_attributes(name: str) -> dict[str, str]:
    return (AXES[name] if name in AXES else DIMENSIONS[name]).attributes


def _coordinates_of(name: str, dims: Sequence[str], layout: _Layout) -> dict[str, str]:
    """The attribute by which readers of netCDF know coordinates over several dimensions."""
    known = [n for n in layout.replaced() if n != name and set(layout.dims[n]) <= set(dims)]
    return {"coordinates": " ".join(known)} if known else {}


def chunk_shape(dims: Sequence[str], shape: Sequence[int]) -> list[int]:
    """Shape of a variable's chunks: own dimensions whole, then temperature, time, width, ... as they fit."""
    chunk = [1] * len(dims)
    left = CHUNK
    filled = dims_in_chunk_order()
    inner = [d for d in dims if d not in filled]
    for d in [*inner, *(d for d in filled if d in dims)]:
        k = list(dims).index(d)
        # Chunks of equal size along an axis, none of them nearly empty.
        pieces = -(-shape[k] // max(1, min(shape[k], left)))
        chunk[k] = -(-shape[k] // pieces)
        left //= chunk[k]
    return chunk


def _write_variable(
    file: Any, name: str, dims: Sequence[str], values: np.ndarray, attributes: Mapping[str, str]
) -> None:
    if values.dtype.kind == "U":
        variable = file.createVariable(name, str, dims)
        variable[:] = values.astype(object)
    elif name in dims:
        variable = file.createVariable(name, values.dtype, dims, fill_value=False)
        variable[:] = values
    else:
        variable = file.createVariable(
            name, values.dtype, dims, zlib=True, complevel=1, shuffle=True,
            fill_value=np.nan if values.dtype.kind == "f" else False, chunksizes=chunk_shape(dims, values.shape),
        )  # fmt: skip
        variable.set_auto_maskandscale(False)
        # Every variable is written once and from end to end; the library would keep 16 MB of each until closing.
        variable.set_var_chunk_cache(2**21, 11, 1.0)
        variable[...] = values
    variable.setncatts(attributes)


def _digest_variable(digest: Any, name: str, dims: Sequence[str], values: np.ndarray) -> None:
    """As :func:`~proplim.cube.content_checksum` takes a variable in."""
    text = values.dtype.kind == "U"
    digest.update(f"{name}|{tuple(dims)}|{values.shape}|{'text' if text else values.dtype.str}|".encode())
    digest.update("\0".join(values.tolist()).encode() if text else np.ascontiguousarray(values).data)
