"""Deviation of the theories from sampling against 1/N at fixed load, with a straight-line fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from proplim.figures._base import EQUILIBRIUM, Cubes, Drawings, Figure, add
from proplim.figures._looks import MARKERS, approximation_look
from proplim.figures._pages import equilibrium
from proplim.figures._panels import (
    MAX_COLUMNS,
    finish,
    label_bottom,
    number,
    pages,
    panel_figure,
    parameters_text,
)
from proplim.figures._slices import FILE_DIMS, Point, at, points, size_axis, values_of
from proplim.figures._style import Style
from proplim.figures._thinning import chosen
from proplim.query import PRIOR, fit_sizes, plain_values, size_deviations

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

ROWS = (
    ("centroid_distance_sq", "train", "class distance $D$"),
    ("readout_variance", None, r"readout $\langle v^2\rangle$"),
    ("mse", "test", "test error"),
)
MIN_SIZES = 3
"""Fewer widths at one load leave nothing to fit."""


def _draw(cubes: Cubes, style: Style) -> Drawings:
    """Theory over sampling - 1 against 1/N with a fit: a file a temperature, a column a load, a row a quantity."""
    both = equilibrium(cubes)
    dims = (*FILE_DIMS, "temperature")
    temperatures = values_of({"sampling": both["sampling"]}, "temperature")
    several = len(temperatures) > 1
    if several:
        shown = chosen({"sampling": both["sampling"]}, "temperature", temperatures, style.slices)
        both = {**both, "sampling": both["sampling"].sel(temperature=shown)}
    for point in points({"sampling": both["sampling"]}, dims):
        tables = _tables(both, point)
        if tables is None:
            continue
        sizes = tables[0].groupby("alpha")["width"].nunique()
        loads = pages(sorted(sizes.index[sizes >= MIN_SIZES]), MAX_COLUMNS)
        for page, alphas in enumerate(loads, start=1):
            key = dict(point) if several else {k: v for k, v in point.items() if k != "temperature"}
            yield (
                ({**key, "page": page} if len(loads) > 1 else key),
                _page(both, tables, alphas, point, style),
            )


def _tables(both: Cubes, point: Point) -> list[pd.DataFrame] | None:
    """Deviations of every row of the figure; None where there is nothing to compare."""
    theory, sampling = at(both["theory"], point), at(both["sampling"], point)
    if theory is None or sampling is None or not {"n_train", size_axis(both)} <= set(sampling.dims):
        return None
    if sampling.sizes["width" if size_axis(both) == "width" else "n_train"] < MIN_SIZES:
        return None  # at a load as the axis, a width is a training-set size
    names = plain_values(theory["approximation"])
    # Infinite width is off by its missing feature learning at every N, and would hide what the others do.
    finite = [a for a in names if a != PRIOR] or names
    theory = theory.sel(approximation=finite)
    tables = []
    for name, split, _ in ROWS:
        table = size_deviations(sampling, theory, name)
        tables.append(table[table["split"] == split] if split else table)
    return None if tables[0].empty else tables


def _page(
    both: Cubes, tables: Sequence[pd.DataFrame], alphas: Sequence[float], point: Point, style: Style
) -> Canvas:
    figure, axes = panel_figure(len(ROWS), len(alphas), style, sharey="row")
    names = plain_values(both["theory"]["approximation"])
    markers = {name: MARKERS[k % len(MARKERS)] for k, name in enumerate(names)}
    for i, (table, (_, _, ylabel)) in enumerate(zip(tables, ROWS, strict=True)):
        for j, alpha in enumerate(alphas):
            here = table[np.isclose(table["alpha"], alpha)]
            for approximation, group in here.groupby("approximation", sort=False):
                _deviations(
                    axes[i, j], group.sort_values("width"), str(approximation), markers[str(approximation)]
                )
            axes[i, j].axhline(0.0, color="0.6", linewidth=0.8, zorder=0)
            if i == 0:
                axes[i, j].set_title(rf"$\alpha={number(alpha)}$", y=1.0)
        axes[i, 0].set_ylabel(f"{ylabel} (%)")
    axes[0, 0].set_xlim(left=-0.04 * float(tables[0]["inverse_width"].max()))
    figure.align_ylabels(axes[:, 0])
    label_bottom(axes, "$1/N$")
    more = ("theory/sampling − 1", "lines: weighted fits in $1/N$", "at $1/N=0$: their limit")
    return finish(figure, axes, parameters_text(both, point, *more, spread="s.e."))


def _deviations(ax: Axes, table: pd.DataFrame, approximation: str, marker: str) -> None:
    look = approximation_look(approximation)
    x = table["inverse_width"].to_numpy()
    y, error = 100 * table["deviation"].to_numpy(), 100 * table["error"].to_numpy()
    marks: dict[str, Any] = {
        "color": look.color,
        "marker": marker,
        "markersize": 3.8,
        "elinewidth": 0.9,
    }
    ax.errorbar(x, y, yerr=error, linestyle="", label=look.title, **marks)
    fit = fit_sizes(x, y, error)
    if fit is None:
        return
    ends = np.array([0.0, x.max()])
    ax.plot(ends, fit.limit + fit.slope * ends, color=look.color, linestyle=look.linestyle, linewidth=0.9)
    ax.errorbar([0.0], [fit.limit], yerr=[fit.limit_error], linestyle="", mfc="white", **marks)


add(
    Figure(
        "finite_size",
        "deviation against 1/N",
        "Deviation of the theories from sampling against 1/N at fixed alpha, with a straight-line fit.",
        """\
The line is fitted by the error bars; open symbols are its limit at 1/N = 0.

What goes to zero as 1/N goes to zero is a finite-size correction; an intercept that stays is an error of
the approximation on these data.""",
        _draw,
        section="5 Theory against sampling",
        needs=EQUILIBRIUM,
        shows=tuple(name for name, *_ in ROWS),
        order=90,
    )
)
