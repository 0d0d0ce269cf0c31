"""What a figure plots: slices of cubes averaged over training-set draws, with spread and convergence."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from proplim.figures._base import Cubes
from proplim.query import peak_temperature
from proplim.schema import AXES, alternatives_to, key_of

Point = dict[str, object]

SIZES = ("width", *(axis.name for axis in alternatives_to("width")))
"""Axes by which a study gives the sizes of its networks; a cube has one of them."""
WITHIN_FILES = ("n_train", *SIZES, "temperature", "seed")
"""Axes of the grid that run over the panels and curves of one file, or are averaged over."""
FILE_DIMS = tuple(axis for axis in AXES if axis not in WITHIN_FILES)
"""Axes every value of which has files of its own."""


@dataclass(frozen=True)
class Curve:
    """Points of one line or one set of markers.

    Parameters
    ----------
    x, y : (n,) arrays
        Finite and ordered in x.
    spread : (n,) array
        Standard error of the Monte-Carlo mean (one draw of the training set) or standard deviation over
        draws (several); 0 for a deterministic line.
    solid : (n,) bool array
        False where a contributing point did not converge or is missing: drawn hollow.
    """

    x: np.ndarray
    y: np.ndarray
    spread: np.ndarray
    solid: np.ndarray


def values_of(cubes: Cubes, dim: str) -> list:
    """Values of a dimension over all cubes that have it; cubes in order give them in order."""
    found: dict[Hashable, Any] = {}
    for cube in cubes.values():
        if dim in cube.coords:
            for value in np.atleast_1d(cube[dim].values).tolist():
                found.setdefault(key_of(dim, value), value)
    values = list(found.values())
    return values if any(isinstance(v, str) for v in values) else sorted(values)


def size_axis(cubes: Cubes) -> str:
    """The axis by which cubes give the sizes of networks: width, or the load in its place."""
    return next((dim for dim in SIZES if any(dim in cube.dims for cube in cubes.values())), SIZES[0])


def matches(cube: xr.Dataset | xr.DataArray, dim: str, value: object) -> np.ndarray:
    """Positions along `dim` that hold `value`, by the axis's own rule of equality."""
    wanted = key_of(dim, value)
    have = np.atleast_1d(cube[dim].values).tolist()
    return np.array([i for i, v in enumerate(have) if key_of(dim, v) == wanted], dtype=int)


def at(cube: xr.Dataset | None, point: Mapping[str, object]) -> xr.Dataset | None:
    """The slice of a cube at one point of some of its axes; None where the cube has no such point.

    Axes of `point` that the cube does not have at all (temperature in dynamics) are ignored.
    """
    if cube is None:
        return None
    places: dict[str, int] = {}
    for dim, value in point.items():
        if dim not in cube.dims:
            continue
        where = matches(cube, dim, value)
        if where.size == 0:
            return None
        places[dim] = int(where[0])
    return cube.isel(places)


def points(cubes: Cubes, dims: Sequence[str] = FILE_DIMS) -> Iterator[Point]:
    """Every combination of values of `dims`, each a figure file of its own."""
    axes = [values_of(cubes, d) for d in dims]
    for combination in itertools.product(*axes):
        yield dict(zip(dims, combination, strict=True))


def has_data(cube: xr.Dataset | None, names: Sequence[str]) -> bool:
    """Whether any of these variables has a finite number here."""
    return cube is not None and any(
        n in cube and bool(np.isfinite(cube.variables[n].values).any()) for n in names
    )


def filled(cubes: Cubes, point: Point, dim: str, names: Sequence[str]) -> list:
    """Values of `dim` for which some cube holds data at `point`."""
    asked = [c[[n for n in names if n in c]] for c in cubes.values()]
    return [v for v in values_of(cubes, dim) if any(has_data(at(c, {**point, dim: v}), names) for c in asked)]


def filled_along(cube: xr.Dataset, dim: str, names: Sequence[str]) -> np.ndarray:
    """For every position along `dim`, whether any of the variables that have this dimension has a finite number."""
    found = np.zeros(cube.sizes[dim], dtype=bool)
    for name in names:
        if name in cube and dim in (values := cube.variables[name]).dims:
            others = tuple(i for i, d in enumerate(values.dims) if d != dim)
            found |= np.isfinite(values.values).any(axis=others)
    return found


def shared_seeds(cubes: Cubes) -> dict[str, xr.Dataset]:
    """The cubes restricted to the training-set draws that all of them have.

    An average over different draws in theory and in sampling would differ for that reason alone. Cubes
    without a draw in common are returned as they are.
    """
    with_seeds = [set(np.atleast_1d(c["seed"].values).tolist()) for c in cubes.values() if "seed" in c.dims]
    common = sorted(set.intersection(*with_seeds)) if with_seeds else []
    if not common:
        return dict(cubes)
    return {k: _with_seeds(c, common) if "seed" in c.dims else c for k, c in cubes.items()}


def _with_seeds(cube: xr.Dataset, wanted: list[int]) -> xr.Dataset:
    return cube if cube["seed"].values.tolist() == wanted else cube.sel(seed=wanted)


def _values(array: xr.Variable, dims: Sequence[str]) -> np.ndarray:
    """Values with exactly these dimensions, of length 1 where the array does not have one."""
    have = [d for d in dims if d in array.dims]
    values = array.transpose(*have).values
    return values[tuple(slice(None) if d in have else None for d in dims)]


def _converged(cube: xr.Dataset, dims: Sequence[str], **where: Any) -> np.ndarray:
    """Whether points have converged at `where`, over everything but `dims`."""
    if "converged" not in cube:
        return np.ones([1] * len(dims), dtype=bool)
    flag = chosen(cube, "converged", {"statistic": "mean", **where})
    extra = [str(d) for d in flag.dims if d not in dims]
    last = tuple(range(len(dims), len(dims) + len(extra)))
    return np.asarray((_values(flag, [*dims, *extra]) > 0).all(axis=last))


def _averaged(
    x: np.ndarray, mean: np.ndarray, error: np.ndarray | None, solid: np.ndarray, several: bool
) -> Curve:
    """Average over all axes but the first; spread is the standard deviation, or `error` where there is one member.

    In NumPy: a page has hundreds of curves, and labelled arrays would take longer than drawing them. Without
    `several`, nothing is averaged over, and points that are not there are hollow no matter what `solid` says.
    """
    x = np.asarray(x, dtype=float)
    mean = np.asarray(mean, dtype=float).reshape(len(x), -1)
    finite = np.isfinite(mean)
    count = finite.sum(1)
    members = np.maximum(count, 1)
    y = np.where(count > 0, np.where(finite, mean, 0.0).sum(1) / members, np.nan)
    deviation = np.sqrt(np.where(finite, (mean - y[:, None]) ** 2, 0.0).sum(1) / np.maximum(count - 1, 1))
    single = np.zeros_like(y)
    if error is not None:
        error = np.asarray(error, dtype=float).reshape(len(x), -1)
        known = np.isfinite(error)
        single = np.where(known, error, 0.0).sum(1) / np.maximum(known.sum(1), 1)
    spread = np.where(count > 1, deviation, single) if several else single
    ok = (np.broadcast_to(solid.reshape(len(solid), -1), mean.shape) & finite).all(1)
    keep = np.isfinite(y) & np.isfinite(x)
    order = np.argsort(x[keep], kind="stable")
    return Curve(*(v[keep][order] for v in (x, y, spread, ok)))


def chosen(cube: xr.Dataset, name: str, where: Mapping[str, Any]) -> xr.Variable:
    """Part of a variable, without labels: to carry them along takes longer than all that is done with the numbers."""
    values = cube.variables[name]
    places = {k: cube.variables[k].values.tolist().index(v) for k, v in where.items() if k in values.dims}
    return values.isel(places)


def theory_curve(
    cube: xr.Dataset, name: str, approximation: str, axis: str = "temperature", **at_: Any
) -> Curve:
    """A theory variable along `axis`, averaged over draws; `cube` has only `axis` and seed left."""
    dims = [axis, "seed"]
    values = chosen(cube, name, {**at_, "approximation": approximation})
    solid = _converged(cube, dims, approximation=approximation)
    return _averaged(cube[axis].values, _values(values, dims), None, solid, "seed" in values.dims)


def sampling_curve(cube: xr.Dataset, name: str, axis: str = "temperature", **at_: Any) -> Curve:
    """Sampled means along `axis` with Monte-Carlo standard errors, averaged over draws."""
    dims = [axis, "seed"]
    mean, error = (chosen(cube, name, {**at_, "statistic": s}) for s in ("mean", "mcse"))
    return _averaged(
        cube[axis].values,
        _values(mean, dims),
        _values(error, dims),
        _converged(cube, dims),
        "seed" in mean.dims,
    )


def dynamics_curve(cube: xr.Dataset, name: str, optimizer: str, **at_: object) -> Curve:
    """An observable against time, averaged over replicas and draws; diverged replicas are left out."""
    dims = ["time", "replica", "seed"]
    values = chosen(cube, name, {**at_, "optimizer": optimizer})
    solid = _converged(cube, dims, optimizer=optimizer)
    good = np.where(solid, _values(values, dims), np.nan)
    several = bool({"replica", "seed"} & set(values.dims))
    return _averaged(cube["time"].values, good, None, np.isfinite(good), several)


def mean_peak(cube: xr.Dataset, approximation: str, split: str) -> tuple[float, float]:
    """(T*, D(T*)) of the draw-averaged class distance; NaN where it is monotone."""
    d = cube["centroid_distance_sq"].sel(approximation=approximation, split=split)
    d = d.mean("seed", skipna=True) if "seed" in d.dims else d
    peak = peak_temperature(d)
    stored = cube.get("peak_temperature")
    if stored is not None and stored.sizes.get("seed", 1) == 1:  # found by optimisation, better than the grid
        position = float(stored.sel(approximation=approximation, split=split).squeeze())
        if np.isfinite(position) and np.isfinite(peak["position"]):
            return position, float(peak["height"])
    return float(peak["position"]), float(peak["height"])
