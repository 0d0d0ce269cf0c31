"""Pages of figures: which panels a file has, and what equilibrium figures have in common."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from proplim.figures._base import EQUILIBRIUM, Cubes, Drawings
from proplim.figures._looks import approximation_look
from proplim.figures._panels import (
    MAX_COLUMNS,
    MAX_ROWS,
    draw_line,
    finish,
    label_bottom,
    log_axis,
    pages,
    panel_figure,
    panel_title,
    parameters_text,
)
from proplim.figures._slices import (
    Point,
    at,
    filled,
    has_data,
    points,
    shared_seeds,
    size_axis,
    theory_curve,
    values_of,
)
from proplim.figures._style import Style
from proplim.observables import variables_of
from proplim.query import plain_values
from proplim.schema import SPLITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

INPUTS = {"train": "training inputs", "test": "test inputs"}
Painter = Callable[["Axes", xr.Dataset | None, xr.Dataset | None], None]


def theories(theory: xr.Dataset | None) -> list[tuple[str, xr.Dataset]]:
    """(name, cube) of every approximation of a theory cube that has a number here, none where there is no cube.

    `exact` of a network that is not linear has none, and no place in a legend.
    """
    if theory is None:
        return []
    names = [v.name for v in variables_of("theory") if v.name != "converged"]
    approximations = plain_values(theory["approximation"])
    return [(a, theory) for a in approximations if has_data(theory.sel(approximation=a), names)]


def equilibrium(cubes: Cubes) -> dict[str, xr.Dataset]:
    """Theory and sampling on the training-set draws that both have."""
    return shared_seeds({k: cubes[k] for k in EQUILIBRIUM if k in cubes})


def width_pages(cubes: Cubes, names: Sequence[str]) -> Iterator[tuple[Point, Point, list]]:
    """Pages of figures that have a file a width (or load) and a column a training-set size.

    Yields
    ------
    key, point : dict
        What tells the file apart, with the page where there are several; what it shows.
    n_trains : list
        Its columns.
    """
    for point in points(cubes):
        size = size_axis(cubes)
        for value in filled(cubes, point, size, names):
            here: Point = {**point, size: value}
            columns = pages(filled(cubes, here, "n_train", names), MAX_COLUMNS)
            for page, n_trains in enumerate(columns, start=1):
                yield ({**here, "page": page} if len(columns) > 1 else here), here, n_trains


def temperature_panels(
    cubes: Cubes, names: Sequence[str], paint: Painter, ylabel: str, style: Style, more: str = ""
) -> Drawings:
    """A figure for each data set, activation and prior, a panel for each (P, N), cut into pages."""
    both = equilibrium(cubes)
    for key, point, sizes, n_trains in panel_pages(both, names):
        yield key, _page(both, point, sizes, n_trains, names, paint, ylabel, style, more)


def panel_pages(cubes: Cubes, names: Sequence[str]) -> Iterator[tuple[Point, Point, list, list]]:
    """Pages of figures that have a row a width (or load) and a column a training-set size.

    Yields
    ------
    key, point : dict
        What tells the file apart, with the page where there are several; what it shows.
    sizes, n_trains : list
        Its rows, of the cubes' axis of sizes, and its columns.
    """
    for point in points(cubes):
        columns = pages(filled(cubes, point, "n_train", names), MAX_COLUMNS)
        rows = pages(filled(cubes, point, size_axis(cubes), names), MAX_ROWS)
        for page, (sizes, n_trains) in enumerate(itertools.product(rows, columns), start=1):
            yield (
                ({**point, "page": page} if len(rows) * len(columns) > 1 else point),
                point,
                sizes,
                n_trains,
            )


def _page(
    both: Cubes,
    point: Point,
    sizes: Sequence,
    n_trains: Sequence,
    names: Sequence[str],
    paint: Painter,
    ylabel: str,
    style: Style,
    more: str,
) -> Canvas:
    figure, axes = panel_figure(len(sizes), len(n_trains), style)
    axis = size_axis(both)
    for i, size in enumerate(sizes):
        for j, n_train in enumerate(n_trains):
            ax, where = axes[i, j], {**point, "n_train": n_train, axis: size}
            theory, sampling = (at(both.get(k), where) for k in EQUILIBRIUM)
            theory, sampling = (c if has_data(c, names) else None for c in (theory, sampling))
            if theory is None and sampling is None:
                ax.text(0.5, 0.5, "no data", transform=ax.transAxes, ha="center", va="center", color="0.5")
            paint(ax, theory, sampling)
            ax.set_title(panel_title(where), y=1.0)
    log_axis(axes[0, 0], [np.asarray(values_of(both, "temperature"), dtype=float)])
    label_bottom(axes, "temperature $T$")
    figure.supylabel(ylabel, fontsize="medium")
    return finish(figure, axes, parameters_text(both, point, more))


def theory_lines(ax: Axes, theory: xr.Dataset | None, name: str, **where: Any) -> None:
    for approximation, solved in theories(theory):
        look = approximation_look(approximation)
        draw_line(ax, theory_curve(solved, name, approximation, **where), look, look.title)


def inputs_held(cubes: Cubes) -> list[str]:
    """Kinds of inputs that equilibrium cubes hold; a part of a study may lack some."""
    there = values_of(equilibrium(cubes), "split")
    return [split for split in SPLITS if split in there]
