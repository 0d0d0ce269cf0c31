"""Maps over temperature and load alpha = P/N: which sizes span the load, and the axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from proplim.figures._base import Cubes
from proplim.figures._panels import MAX_COLUMNS, log_axis, pages
from proplim.figures._slices import Point, filled, points, size_axis
from proplim.figures._thinning import Slices, chosen

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_TICKS = 8
"""Loads that are all labelled."""


def load_axes(cubes: Cubes, names: Sequence[str]) -> Iterator[tuple[Point, str, list, str, list]]:
    """What spans the load at every point that has more than one: P at fixed N, N or the load itself at fixed P.

    Yields
    ------
    point : dict
    along : str
        The axis that varies, P where both do equally.
    values : list
    fixed : str
    fixed_values : list
    """
    for point in points(cubes):
        size = size_axis(cubes)
        sizes = {d: filled(cubes, point, d, names) for d in ("n_train", size)}
        # At a fixed load there is no other one.
        along, fixed = sorted(sizes, key=lambda d: -len(sizes[d])) if size == "width" else (size, "n_train")
        if len(sizes[along]) > 1:
            yield point, along, sizes[along], fixed, sizes[fixed]


def map_pages(
    cubes: Cubes, names: Sequence[str], slices: Slices
) -> Iterator[tuple[Point, Point, str, list, str, list]]:
    """Pages of maps: what tells the file apart, and :func:`load_axes` with a few values of the fixed axis."""
    for point, along, values, fixed, fixed_values in load_axes(cubes, names):
        columns = pages(chosen(cubes, fixed, fixed_values, slices), MAX_COLUMNS)
        for page, some in enumerate(columns, start=1):
            key = {**point, "page": page} if len(columns) > 1 else point
            yield key, point, along, values, fixed, some


def loads(along: str, values: np.ndarray, fixed_value: float) -> np.ndarray:
    """alpha = P/N along the axis that spans it, at a value of the fixed one."""
    if along == "n_train":
        return values / fixed_value
    return fixed_value / values if along == "width" else values


def cell_edges(values: np.ndarray) -> np.ndarray:
    """Borders of cells around positive values, half-way in the logarithm."""
    log = np.log(values)
    middle = 0.5 * (log[1:] + log[:-1])
    return np.exp(np.concatenate([[2 * log[0] - middle[0]], middle, [2 * log[-1] - middle[-1]]]))


def set_map_axes(ax: Axes, temperature: np.ndarray, alpha: np.ndarray) -> None:
    """Logarithmic axes that end where the outermost cells end."""
    log_axis(ax, [cell_edges(temperature)])
    log_axis(ax, [cell_edges(alpha)], "y")
    ax.set_xlim(*cell_edges(temperature)[[0, -1]])
    ax.set_ylim(*cell_edges(alpha)[[0, -1]])
    if len(alpha) <= MOST_TICKS:
        ax.set_yticks(alpha, [f"{a:.3g}" for a in alpha])
    ax.minorticks_off()
