"""Measures of how far apart the classes are, and in which of them the distance falls again in time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from proplim.dynamics import find_turn
from proplim.figures._base import Cubes
from proplim.query import of_both_classes, relative_distance
from proplim.schema import STATISTICS


class Distance(NamedTuple):
    """A measure of the distance of the classes.

    Parameters
    ----------
    name : str
        Variable of the cubes of :func:`with_distances`.
    symbol : str
        LaTeX.
    words : str
        As axis labels have it.
    """

    name: str
    symbol: str
    words: str

    @property
    def label(self) -> str:
        """Words and symbol, for an axis."""
        return f"{self.words} ${self.symbol}$"


D = Distance("centroid_distance_sq", "D", "class distance")
RELATIVE = Distance("relative_distance", r"D/(R_+^2+R_-^2)", "relative distance")
NORMALIZED = Distance("normalized_centroid_distance_sq", r"\hat{D}", "normalised distance")
DISTANCES = (D, RELATIVE, NORMALIZED)
"""In the order of preference where they show as much."""
BY_NAME = {distance.name: distance for distance in DISTANCES}


def with_distances(cubes: Cubes) -> dict[str, xr.Dataset]:
    """The cubes with D/(R_+^2 + R_-^2), of many classes that of every pair, as one more variable.

    Of networks in training it is that of every network; of theory and sampling the ratio of the means, with the
    Monte-Carlo errors of D and of the radii added in quadrature.
    """
    return {stage: _with_relative(cube) for stage, cube in cubes.items()}


def _with_relative(cube: xr.Dataset) -> xr.Dataset:
    known = set(cube.data_vars)
    if not {"centroid_distance_sq", "gyration_radius_sq"} <= known or RELATIVE.name in known:
        return cube
    ratio = relative_distance(cube)
    if "statistic" in cube.dims:
        ratio = _with_error(ratio, cube)
    return cube.assign({RELATIVE.name: ratio})


def _with_error(ratio: xr.DataArray, cube: xr.Dataset) -> xr.DataArray:
    distance, radius = cube["centroid_distance_sq"], cube["gyration_radius_sq"]
    size = of_both_classes(radius.sel(statistic="mean"), cube)
    of_distance = distance.sel(statistic="mcse") / distance.sel(statistic="mean")
    of_size = np.sqrt(of_both_classes(radius.sel(statistic="mcse") ** 2, cube)) / size
    error = ratio * np.sqrt(of_distance**2 + of_size**2)
    there = [ratio.assign_coords(statistic="mean"), error.assign_coords(statistic="mcse")]
    both: xr.DataArray = xr.concat(there, "statistic", coords="minimal", compat="override")
    return both.reindex(statistic=[s for s in STATISTICS if s in cube["statistic"].values])


def mean_turn(values: np.ndarray) -> float:
    """Share of its maximum by which a curve falls in time after it rose to it; NaN where it does not turn.

    Parameters
    ----------
    values : (T,) array
        In the order of time; see :func:`proplim.dynamics.find_turn`.
    """
    turn = find_turn(values)
    return np.nan if turn is None else float(1.0 - values[turn[1]] / values[turn[0]])


def falls_in_time(dynamics: xr.Dataset, split: str = "train") -> dict[str, int]:
    """At how many points the mean of each measure over networks rises and falls; those that diverged are left out."""
    found = {}
    for distance in DISTANCES:
        if distance.name not in dynamics or dynamics.sizes.get("time", 1) < 3:
            continue
        values = dynamics[distance.name].sel(split=split).where(dynamics["converged"] > 0)
        over = [dim for dim in ("replica",) if dim in values.dims]
        means = values.mean(over, skipna=True).transpose(..., "time").values
        curves = means.reshape(-1, means.shape[-1])
        found[distance.name] = int(sum(np.isfinite(mean_turn(curve)) for curve in curves))
    return found


def that_falls(counts: Mapping[str, int]) -> Distance | None:
    """The measure whose mean over networks falls in time at the most points; None where none does.

    Parameters
    ----------
    counts : mapping
        As :func:`falls_in_time` gives it.
    """
    best = max(counts, key=lambda name: counts[name], default=None)  # of equal ones the first
    return BY_NAME[best] if best is not None and counts[best] else None


def shown_in_time(dynamics: xr.Dataset) -> tuple[Distance, ...]:
    """What a figure of training shows: D, and the measure that falls in time where D is another."""
    falling = that_falls(falls_in_time(dynamics))
    return (D,) if falling in (None, D) else (D, falling)


def verdict(dynamics: xr.Dataset) -> str:
    """In which measure the classes come closer again, for the line below a figure."""
    falling = that_falls(falls_in_time(dynamics))
    if falling is None:
        return "no distance, as a mean over networks, falls in time"
    return f"the mean over networks that falls in time is that of ${falling.symbol}$"
