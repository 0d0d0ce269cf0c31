"""Pages of figures: which panels a file has, and what equilibrium figures have in common."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
    filled_along,
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

GRID_COLUMNS = 3
"""Columns in which slices along one axis are set where they do not fit in one row."""
INPUTS = {"train": "training inputs", "test": "test inputs"}
Painter = Callable[["Axes", xr.Dataset | None, xr.Dataset | None], None]


def theories(theory: xr.Dataset | None) -> list[tuple[str, xr.Dataset]]:
    """(name, cube) of every approximation of a theory cube that has a number here, none where there is no cube.

    `exact` of a network that is not linear has none, and no place in a legend.
    """
    if theory is None:
        return []
    names = [v.name for v in variables_of("theory") if v.name != "converged"]
    known = filled_along(theory, "approximation", names)
    return [
        (a, theory) for a, there in zip(plain_values(theory["approximation"]), known, strict=True) if there
    ]


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


@dataclass(frozen=True)
class Row:
    """One row of a page: a quantity, in every column at another (P, N).

    Parameters
    ----------
    names : tuple of str
        Variables that it shows.
    label : str
        Of its vertical axis.
    paint : callable
        ``paint(axes, theory, sampling)`` of one panel; a cube without a number here is None.
    logarithmic : bool
        Whether its vertical axis is.
    """

    names: tuple[str, ...]
    label: str
    paint: Painter
    logarithmic: bool = False


def slice_panels(cubes: Cubes, point: Point, names: Sequence[str]) -> list[list[Point]]:
    """Panels of a point that hold data, (P, N) by (P, N): a line a size of networks, in it a training-set size each."""
    axis = size_axis(cubes)
    n_trains = filled(cubes, point, "n_train", names)
    return [
        [{**point, "n_train": n, axis: size} for n in n_trains] for size in filled(cubes, point, axis, names)
    ]


def column_pages(cubes: Cubes, names: Sequence[str]) -> Iterator[tuple[Point, Point, list[Point]]]:
    """Pages of figures whose columns are slices (P, N) and whose rows are quantities.

    Yields
    ------
    key, point : dict
        What tells the file apart, with the page where there are several; what it shows.
    columns : list of dict
        The point of every column.
    """
    for point in points(cubes):
        slices = list(itertools.chain.from_iterable(slice_panels(cubes, point, names)))
        parts = pages(slices, MAX_COLUMNS)
        for page, columns in enumerate(parts, start=1):
            yield ({**point, "page": page} if len(parts) > 1 else point), point, columns


def panel_pages(cubes: Cubes, names: Sequence[str]) -> Iterator[tuple[Point, Point, list[list[Point]]]]:
    """Pages of figures of one quantity that have a panel a slice (P, N).

    Yields
    ------
    key, point : dict
        What tells the file apart, with the page where there are several; what it shows.
    rows : list of list of dict
        The point of every panel. Where both P and N vary, a row a size and a column a training-set size.
    """
    for point in points(cubes):
        grid = slice_panels(cubes, point, names)
        if not grid:
            continue
        if len(grid) == 1 or any(len(line) == 1 for line in grid):
            flat = list(itertools.chain.from_iterable(grid))
            lines = pages(flat, len(flat) if len(flat) <= MAX_COLUMNS else GRID_COLUMNS)
            blocks = pages(lines, MAX_ROWS)
        else:
            columns, rows = pages(range(len(grid[0])), MAX_COLUMNS), pages(range(len(grid)), MAX_ROWS)
            blocks = [[[grid[i][j] for j in js] for i in rs] for rs in rows for js in columns]
        for page, block in enumerate(blocks, start=1):
            yield ({**point, "page": page} if len(blocks) > 1 else point), point, block


def row_pages(cubes: Cubes, rows: Sequence[Row], style: Style, more: str = "") -> Drawings:
    """Figures over temperature with a row a quantity and a column a (P, N), as many as fit on a page."""
    both = equilibrium(cubes)
    shown = [row for row in rows if any(has_data(c, row.names) for c in both.values())]
    parts = pages(shown, MAX_ROWS)
    for part, some in enumerate(parts, start=1):
        for key, point, columns in column_pages(both, [n for row in some for n in row.names]):
            which = {**key, "part": part} if len(parts) > 1 else key
            yield which, _page_of_rows(both, point, some, columns, style, more)


def _page_of_rows(
    both: Cubes, point: Point, rows: Sequence[Row], columns: Sequence[Point], style: Style, more: str
) -> Canvas:
    figure, axes = panel_figure(len(rows), len(columns), style, sharey="row")
    for i, row in enumerate(rows):
        if row.logarithmic:
            axes[i, 0].set_yscale("log")  # shared by the row; set first, bands depend on it
        axes[i, 0].set_ylabel(row.label)
        axes[i, 0].set_label(" ".join(row.names))  # not drawn: which variables a row shows
        for ax, where in zip(axes[i], columns, strict=True):
            _paint_panel(ax, both, where, row.names, row.paint)
    for ax, where in zip(axes[0], columns, strict=True):
        ax.set_title(panel_title(where), y=1.0)
    figure.align_ylabels(axes[:, 0])
    log_axis(axes[0, 0], [np.asarray(values_of(both, "temperature"), dtype=float)])
    label_bottom(axes, "temperature $T$")
    return finish(figure, axes, parameters_text(both, point, more))


def temperature_panels(
    cubes: Cubes, names: Sequence[str], paint: Painter, ylabel: str, style: Style, more: str = ""
) -> Drawings:
    """A figure for each data set, activation and prior, a panel for each (P, N), cut into pages."""
    both = equilibrium(cubes)
    for key, point, rows in panel_pages(both, names):
        yield key, _page(both, point, rows, names, paint, ylabel, style, more)


def _page(
    both: Cubes,
    point: Point,
    rows: Sequence[Sequence[Point]],
    names: Sequence[str],
    paint: Painter,
    ylabel: str,
    style: Style,
    more: str,
) -> Canvas:
    figure, axes = panel_figure(len(rows), max(map(len, rows)), style)
    for line, panels in zip(axes, rows, strict=True):
        for ax, where in zip(line, panels, strict=False):
            _paint_panel(ax, both, where, names, paint)
            ax.set_title(panel_title(where), y=1.0)
        for ax in line[len(panels) :]:
            ax.set_visible(False)
    log_axis(axes[0, 0], [np.asarray(values_of(both, "temperature"), dtype=float)])
    label_bottom(axes, "temperature $T$")
    figure.supylabel(ylabel, fontsize="medium")
    return finish(figure, axes, parameters_text(both, point, more))


def _paint_panel(ax: Axes, both: Cubes, where: Point, names: Sequence[str], paint: Painter) -> None:
    theory, sampling = (at(both.get(k), where) for k in EQUILIBRIUM)
    theory, sampling = (c if has_data(c, names) else None for c in (theory, sampling))
    if theory is None and sampling is None:
        ax.text(0.5, 0.5, "no data", transform=ax.transAxes, ha="center", va="center", color="0.5")
    paint(ax, theory, sampling)


def theory_lines(ax: Axes, theory: xr.Dataset | None, name: str, **where: Any) -> None:
    for approximation, solved in theories(theory):
        look = approximation_look(approximation)
        draw_line(ax, theory_curve(solved, name, approximation, **where), look, look.title)


def inputs_held(cubes: Cubes) -> list[str]:
    """Kinds of inputs that equilibrium cubes hold; a part of a study may lack some."""
    there = values_of(equilibrium(cubes), "split")
    return [split for split in SPLITS if split in there]
