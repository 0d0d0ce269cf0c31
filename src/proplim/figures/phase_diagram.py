"""The phase diagram over (T, alpha): share of the heavy unit as colour, T_c(alpha) and T*(alpha) as lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from proplim.figures._base import Cubes, Drawings, Figure, add
from proplim.figures._looks import approximation_look
from proplim.figures._map import cell_edges, loads, map_pages, set_map_axes
from proplim.figures._panels import (
    finish,
    label_bottom,
    number,
    panel_figure,
    parameters_text,
)
from proplim.figures._slices import Point, at, has_data
from proplim.figures._style import Style
from proplim.query import plain_values
from proplim.schema import AXES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure as Canvas

SHARE = "heavy_unit_share"
SPLIT = "train"
LINES = (
    ("condensation_temperature", r"$T_c(\alpha)$", "#000000", "-"),
    ("peak_temperature", r"$T^*(\alpha)$", "#D55E00", "--"),
)


def _draw(cubes: Cubes, style: Style) -> Drawings:
    """A row a theory that knows the phases, a column a value of that one of P and N which stays fixed."""
    theory = cubes["theory"]
    if theory.sizes.get("temperature", 1) < 2 or SHARE not in theory:
        return
    names = [
        a for a in plain_values(theory["approximation"]) if has_data(theory.sel(approximation=a), [SHARE])
    ]
    if not names:
        return
    for key, point, along, values, fixed, some in map_pages({"theory": theory}, [SHARE], style.slices):
        here = at(theory, point)
        assert here is not None
        yield key, _page(here, names, along, values, fixed, some, point, style)


def _page(
    theory: xr.Dataset,
    names: Sequence[str],
    along: str,
    values: Sequence,
    fixed: str,
    fixed_values: Sequence,
    point: Point,
    style: Style,
) -> Canvas:
    shown = [SHARE, *(name for name, *_ in LINES if name in theory)]
    chosen = theory[shown].sel({"approximation": list(names), along: list(values), fixed: list(fixed_values)})
    if "seed" in chosen.dims:
        chosen = chosen.mean("seed", skipna=True)
    figure, axes = panel_figure(len(names), len(fixed_values), style, sharey="col")
    mesh: QuadMesh | None = None
    for i, name in enumerate(names):
        for j, value in enumerate(fixed_values):
            panel = chosen.sel({"approximation": name, fixed: value})
            mesh = _paint(axes[i, j], panel, along, float(value))
            title = f"{approximation_look(name).title}, ${AXES[fixed].symbol}={number(value)}$"
            axes[i, j].set_title(title, y=1.0)
            if j == 0:
                axes[i, j].set_ylabel(r"load $\alpha=P/N$")
    label_bottom(axes, "temperature $T$")
    assert mesh is not None
    bar = figure.colorbar(mesh, ax=axes, pad=0.02, aspect=25)
    bar.set_label("share of the labels on one unit")
    return finish(figure, axes, parameters_text({"theory": theory}, point))


def _paint(ax: Axes, panel: xr.Dataset, along: str, fixed_value: float) -> QuadMesh:
    panel = panel.sortby("temperature")
    alpha = loads(along, panel[along].values.astype(float), fixed_value)
    order = np.argsort(alpha)
    temperature, alpha = panel["temperature"].values, alpha[order]
    share = panel[SHARE].transpose(along, "temperature").values[order]
    mesh = ax.pcolormesh(
        cell_edges(temperature), cell_edges(alpha), share, vmin=0.0, vmax=1.0, cmap="BuPu", rasterized=True
    )
    for name, label, color, line in LINES:
        if name not in panel:
            continue
        found = panel[name].sel(split=SPLIT) if "split" in panel[name].dims else panel[name]
        where = found.values[order]
        good = np.isfinite(where)
        ax.plot(where[good], alpha[good], color=color, linestyle=line, marker="o", markersize=3, label=label)
    set_map_axes(ax, temperature, alpha)
    return mesh


add(
    Figure(
        "phase_diagram",
        "phase diagram",
        "Phases over temperature and load alpha = P/N: where one unit carries the labels by itself.",
        """\
Colour is the share of the labels on the heaviest unit, weighed over both phases. The solid line is
T_c(alpha), below which the condensed phase has the larger evidence; the broken line is T*(alpha), the
temperature of the largest class distance.

Right of the solid line features are learned by all units together, a little each: the predictor is
Gaussian-process regression with a rescaled prior. Left of it one unit has grown to v of order sqrt(N), the
predictor is that of no Gaussian process, and it generalises better than one. Where the solid line ends, no
heavy unit has the larger evidence at any temperature that was searched.""",
        _draw,
        section="1 Class distance",
        needs=("theory",),
        shows=(SHARE, "condensation_temperature"),
        order=25,
    )
)
