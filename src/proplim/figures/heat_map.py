"""Heat maps over (T, alpha) of the relative class distance, with the line of T*(alpha)."""

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
from proplim.figures._slices import Point, at
from proplim.figures._style import Style
from proplim.query import PRIOR, peak_temperature, plain_values, ratio_to_prior
from proplim.schema import AXES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure as Canvas

NAME = "centroid_distance_sq"
SPLIT = "train"
PEAK_COLOR = "#D55E00"
MOST_MARKERS = 40
"""Loads that are marked one by one on the line of T*."""


def _draw(cubes: Cubes, style: Style) -> Drawings:
    """D/D_prior - 1 over (T, alpha), one row a theory: alpha runs over P at fixed N, or over N at fixed P."""
    theory = cubes["theory"]
    if theory.sizes.get("temperature", 1) < 2:
        return
    names = [a for a in plain_values(theory["approximation"]) if a != PRIOR]
    if not names or len(names) == theory.sizes["approximation"]:
        return  # without infinite width there is no prior to compare with
    for key, point, along, values, fixed, some in map_pages({"theory": theory}, [NAME], style.slices):
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
    excess = 100 * (ratio_to_prior(theory) - 1).sel(split=SPLIT)
    if "seed" in excess.dims:
        excess = excess.mean("seed", skipna=True)
    excess = excess.sel({"approximation": list(names), along: list(values), fixed: list(fixed_values)})
    lowest, highest = min(0.0, float(excess.min())), float(excess.max())
    figure, axes = panel_figure(len(names), len(fixed_values), style, sharey="col")
    mesh: QuadMesh | None = None
    for i, name in enumerate(names):
        for j, value in enumerate(fixed_values):
            ax = axes[i, j]
            panel = excess.sel({"approximation": name, fixed: value})
            mesh = _paint(ax, panel, along, float(value), lowest, highest)
            ax.set_title(f"{approximation_look(name).title}, ${AXES[fixed].symbol}={number(value)}$", y=1.0)
            if j == 0:
                ax.set_ylabel(r"load $\alpha=P/N$")
    label_bottom(axes, "temperature $T$")
    assert mesh is not None
    bar = figure.colorbar(mesh, ax=axes, pad=0.02, aspect=25)
    bar.set_label(r"$D/D_\mathrm{prior}-1$ (%)")
    return finish(figure, axes, parameters_text({"theory": theory}, point, "training inputs"))


def _paint(
    ax: Axes, panel: xr.DataArray, along: str, fixed_value: float, lowest: float, highest: float
) -> QuadMesh:
    panel = panel.sortby("temperature")
    alpha = loads(along, panel[along].values.astype(float), fixed_value)
    order = np.argsort(alpha)
    temperature, alpha = panel["temperature"].values, alpha[order]
    z = panel.transpose(along, "temperature").values[order]
    mesh = ax.pcolormesh(
        cell_edges(temperature),
        cell_edges(alpha),
        z,
        vmin=lowest,
        vmax=max(highest, lowest + 1e-9),
        rasterized=True,
    )
    if np.isfinite(z).all() and min(z.shape) >= 5 and z.max() > z.min():  # too few rows bend the lines
        ax.contour(temperature, alpha, z, levels=6, colors="white", linewidths=0.5, alpha=0.7)
    peaks = peak_temperature(panel)["position"].transpose(along).values[order]
    shown = np.isfinite(peaks)
    marker = "o" if len(alpha) <= MOST_MARKERS else ""
    ax.plot(peaks[shown], alpha[shown], color=PEAK_COLOR, marker=marker, markersize=3, label=r"$T^*(\alpha)$")
    set_map_axes(ax, temperature, alpha)
    return mesh


add(
    Figure(
        "heat_map",
        "map over temperature and load",
        "Relative class distance over temperature and load alpha = P/N, by the theory.",
        """\
Colour is how much D exceeds its value in the prior, in per cent; the line is T*(alpha), the temperature of
the largest D. Columns keep one of N and P fixed, alpha runs over the other.

Far up (large alpha) features are learned most; far right (high T) and far down (infinite width) the colour
is that of the prior. Where the line ends, D has no maximum: it is monotone in T.""",
        _draw,
        section="1 Class distance",
        needs=("theory",),
        split=SPLIT,
        shows=(NAME, "peak_temperature", "peak_height_over_prior"),
        order=20,
    )
)
