"""Confusion matrices of the mean predictor on test inputs, at temperatures from high to low."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from proplim.figures._base import Cubes, Drawings, Figure, add
from proplim.figures._looks import approximation_look
from proplim.figures._pages import INPUTS, equilibrium, slice_panels, theories
from proplim.figures._panels import (
    configuration_of,
    finish,
    number,
    panel_figure,
    panel_title,
    parameters_text,
)
from proplim.figures._slices import Point, at, has_data, points
from proplim.figures._style import Style
from proplim.figures.pair_matrices import FEW_CLASSES, round_of, without_sizes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

NAME, ACCURACY = "confusion", "accuracy"
SPLIT = "test"
TITLE = 0.1
"""Height of the titles, in inches."""
TEMPERATURES = 3
"""Temperatures that are shown: the highest, the middle one, the lowest."""


def _draw(cubes: Cubes, style: Style) -> Drawings:
    theory = equilibrium(cubes)["theory"]
    if NAME not in theory or "temperature" not in theory.dims:
        return
    for point in points({"theory": theory}):
        for where in [p for line in slice_panels({"theory": theory}, point, [NAME]) for p in line]:
            here = at(theory, where)
            assert here is not None
            names = [name for name, _ in theories(here) if has_data(here.sel(approximation=name), [NAME])]
            if names:
                yield where, _page(theory, where, here.sel(approximation=names[-1]), names[-1], style)


def _page(theory: xr.Dataset, where: Point, here: xr.Dataset, name: str, style: Style) -> Canvas:
    shares, accuracy = (_over_draws(here[n].sel(split=SPLIT)).sortby("temperature") for n in (NAME, ACCURACY))
    known = shares["temperature"].values[np.isfinite(accuracy.values)]
    chosen = sorted(
        {float(t) for t in known[np.linspace(0, len(known) - 1, TEMPERATURES).round().astype(int)]}
    )
    chosen.reverse()
    figure, axes = panel_figure(1, len(chosen), style, sharex="none", sharey="none")
    figure.set_size_inches(figure.get_figwidth(), figure.get_figheight() + TITLE)
    labels = class_names(theory, where)
    images = []
    for ax, temperature in zip(axes[0], chosen, strict=True):
        panel = shares.sel(temperature=temperature).transpose("output", "output2")
        right = float(accuracy.sel(temperature=temperature))
        images.append(_matrix(ax, labels, panel.values))
        ax.set_title(f"$T={number(round_of(temperature))}$: {100 * right:.0f} % right")
        ax.set_xlabel("largest output")
    axes[0, 0].set_ylabel("class of the input")
    figure.colorbar(images[-1], ax=axes[0, :], pad=0.02, aspect=15, shrink=0.75).set_label("share of inputs")
    text = (panel_title(where), approximation_look(name).title, INPUTS[SPLIT])
    return finish(figure, axes, parameters_text({"theory": theory}, without_sizes(where), *text))


def class_names(cube: xr.Dataset, where: Point) -> list[str]:
    """What the classes of a data set are called, in the order of the outputs; by number where it does not say."""
    entries = {entry.get("name"): entry for entry in configuration_of(cube).get("datasets") or []}
    known = entries.get(where.get("dataset"), {}).get("classes") or []
    size = int(cube.sizes["output"])
    return [str(name) for name in (known if len(known) == size else range(size))]


def _over_draws(values: xr.DataArray) -> xr.DataArray:
    return values.mean("seed", skipna=True) if "seed" in values.dims else values


def _matrix(ax: Axes, labels: list[str], shares: np.ndarray) -> Any:
    image = ax.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, interpolation="none")
    ax.set_xticks(range(len(labels)), labels)
    ax.set_yticks(range(len(labels)), labels)
    ax.tick_params(length=0)
    ax.minorticks_off()
    for (i, j), value in np.ndenumerate(shares):
        if value > 0.0 and len(labels) <= 2 * FEW_CLASSES:
            color = "w" if value > 0.6 else "k"
            ax.text(j, i, f"{100 * value:.0f}", ha="center", va="center", color=color, fontsize=5)
    return image


add(
    Figure(
        "confusion",
        "confusion of the mean predictor",
        "Which class the mean predictor takes test inputs of every class for, in per cent of its inputs.",
        """\
A row is the class of the inputs, a column the largest output; the diagonal is what is right. At high T the
mean predictor is small but its largest output is often right already. Temperatures are the highest, the middle
one and the lowest of the grid.""",
        _draw,
        section="4 Test error",
        needs=("theory",),
        split=SPLIT,
        shows=(NAME,),
        sliced=True,
        each_class=True,
        order=75,
    )
)
