"""Which slices of a large study a figure shows: a few, evenly chosen; all of it is in the explorer and the cubes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import xarray as xr

from proplim.errors import InvalidInput
from proplim.figures._base import Cubes
from proplim.figures._slices import SIZES, matches, size_axis, values_of
from proplim.schema import SLICED, key_of

Slices = int | Mapping[str, Sequence]
"""How many slices a figure shows, or which values of single axes."""
MOST_SLICES = 6
"""Slices of a figure where nothing is chosen: what a page or two can hold."""


def thinned(cubes: Cubes, slices: Slices = MOST_SLICES) -> dict[str, xr.Dataset]:
    """The cubes with as many sizes (P, N), and as many priors, as a figure shows.

    Values that sampling or training have come first, then those farthest from any chosen one: without them they
    are evenly spaced in the logarithm.

    Parameters
    ----------
    cubes : mapping of str to xarray.Dataset
    slices : int or mapping
        Number of (P, N), and of priors; or axis -> values to show, in which case the axes that are not named are
        thinned beside them.
    """
    named = {} if isinstance(slices, int) else slices
    shown: dict[str, list] = {}
    others = tuple(dim for dim in SLICED if dim not in ("n_train", *SIZES))
    for group in (("n_train", size_axis(cubes)), others):
        shown |= _of_group(cubes, group, named, slices if isinstance(slices, int) else MOST_SLICES)
    return {stage: _part(cube, shown) for stage, cube in cubes.items()}


def chosen(cubes: Cubes, dim: str, values: Sequence, slices: Slices) -> list:
    """Values of one axis that a figure shows of those that it could."""
    if isinstance(slices, int) or dim not in slices:
        count = slices if isinstance(slices, int) else MOST_SLICES
        return evenly(values, count, [v for v in values if _is_beside_theory(cubes, dim, v)])
    wanted = {key_of(dim, v) for v in slices[dim]}
    return [v for v in values if key_of(dim, v) in wanted]


def evenly(values: Sequence[float], count: int, first: Collection[float] = ()) -> list:
    """At most `count` of positive, ascending values, evenly spaced in the logarithm as far as there are such.

    Parameters
    ----------
    values : sequence of float
    count : int
    first : collection of float
        Values that come before others: if more than `count`, it is these that are chosen from.

    Returns
    -------
    list
        In the order of `values`; the smallest and the largest among them, where `first` leaves room.
    """
    if len(values) <= count:
        return list(values)
    places = [i for i, v in enumerate(values) if v in first]
    if len(places) > count:
        return evenly([values[i] for i in places], count)
    log = np.log(np.asarray(values, dtype=float))
    if not places:
        for target in np.linspace(log[0], log[-1], count):
            distance = np.abs(log - target)
            distance[places] = np.inf
            places.append(int(distance.argmin()))
    while len(places) < count:
        distance = np.abs(log[:, None] - log[places]).min(axis=1)
        places.append(int(distance.argmax()))
    return [values[i] for i in sorted(places)]


def check_slices(slices: Slices) -> None:
    """Refuse what is no number of slices and no choice of values.

    Raises
    ------
    InvalidInput
    """
    if isinstance(slices, Mapping):
        for axis, values in slices.items():
            if axis not in SLICED:
                raise InvalidInput("figures.slices", axis, f"a number, or values of {', '.join(SLICED)}")
            if isinstance(values, str) or not len(values):
                raise InvalidInput(f"figures.slices.{axis}", values, "at least one value")
    elif isinstance(slices, bool) or not isinstance(slices, int) or slices < 1:
        raise InvalidInput("figures.slices", slices, f"a number >= 1, or values of {', '.join(SLICED)}")


def _of_group(
    cubes: Cubes, group: Sequence[str], named: Mapping[str, Sequence], most: int
) -> dict[str, list]:
    """Values of axes whose product is at most `most`, the longest axis thinned first; named ones as they are."""
    values = {dim: values_of(cubes, dim) for dim in group}
    counts = {dim: len(v) for dim, v in values.items() if v}
    fixed = {dim: chosen(cubes, dim, values[dim], named) for dim in counts if dim in named}
    counts |= {dim: len(v) for dim, v in fixed.items()}
    free = [dim for dim in counts if dim not in fixed]
    while free and np.prod(list(counts.values())) > most:
        longest = max(free, key=lambda dim: counts[dim])
        if counts[longest] == 1:
            break
        counts[longest] -= 1
    return fixed | {dim: chosen(cubes, dim, values[dim], counts[dim]) for dim in free}


def _is_beside_theory(cubes: Cubes, dim: str, value: object) -> bool:
    others = (cube for stage, cube in cubes.items() if stage != "theory" and dim in cube.dims)
    return any(matches(cube, dim, value).size for cube in others)


def _part(cube: xr.Dataset, shown: Mapping[str, Sequence]) -> xr.Dataset:
    places = {
        dim: [int(i) for value in values for i in matches(cube, dim, value)]
        for dim, values in shown.items()
        if dim in cube.dims
    }
    return cube.isel({dim: where for dim, where in places.items() if len(where) < cube.sizes[dim]})
