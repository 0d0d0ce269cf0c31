"""Distributions of weights over the posterior, beside the Gaussians that the theory predicts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from proplim.figures._base import Cubes, Drawings, Figure, add
from proplim.figures._looks import SAMPLING_COLOR, approximation_look
from proplim.figures._pages import equilibrium
from proplim.figures._panels import (
    MAX_COLUMNS,
    finish,
    number,
    pages,
    panel_figure,
    parameters_text,
)
from proplim.figures._slices import Point, at, filled, has_data, points, size_axis
from proplim.figures._style import Style
from proplim.figures._unit_weights import WEIGHTS, weight_histograms
from proplim.query import plain_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

FLOOR = 1e-4
"""Smallest density drawn."""


def _draw(cubes: Cubes, style: Style, folder: Path) -> Drawings:
    """Distributions of v and w.u beside the Gaussians of the theory: a file a (P, N), a column a temperature."""
    counted = weight_histograms(cubes["sampling"], folder)
    if counted is None:
        return
    shown = {"histograms": counted}
    cubes = {**cubes, **shown}
    names = [name for name, *_ in WEIGHTS]
    for point in points(shown):
        for n_train in filled(shown, point, "n_train", names):
            size = size_axis(shown)
            for value in filled(shown, {**point, "n_train": n_train}, size, names):
                here: Point = {**point, "n_train": n_train, size: value}
                columns = pages(filled(shown, here, "temperature", names), MAX_COLUMNS)
                for page, temperatures in enumerate(columns, start=1):
                    key = {**here, "page": page} if len(columns) > 1 else here
                    yield key, _page(cubes, here, temperatures, style)


def _page(cubes: Cubes, point: Point, temperatures: Sequence, style: Style) -> Canvas:
    from matplotlib.ticker import MaxNLocator

    figure, axes = panel_figure(len(WEIGHTS), len(temperatures), style, sharex="row", sharey="row")
    theory = equilibrium(cubes).get("theory")
    for j, temperature in enumerate(temperatures):
        where = {**point, "temperature": temperature}
        sampled, predicted = at(cubes["histograms"], where), at(theory, where)
        assert sampled is not None
        for ax, (name, moment, prior, symbol) in zip(axes[:, j], WEIGHTS, strict=True):
            _bars(ax, sampled[name])
            precision = float(point[prior])  # type: ignore[arg-type]
            if has_data(predicted, [moment]):
                assert predicted is not None
                _gaussians(ax, predicted[moment] * precision, sampled["bin"].values)
            ax.set_xlabel(f"${symbol}$")
        axes[0, j].set_title(f"$T={number(temperature)}$", y=1.0)
    figure.align_ylabels(axes[:, 0])
    for ax, (name, *_) in zip(axes[:, 0], WEIGHTS, strict=True):
        ax.set_ylabel("probability density")
        reach = _reach(at(cubes["histograms"], point), name, temperatures)
        ax.set_xlim(-reach, reach)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, symmetric=True))
    more = ("$u$: signal direction", "weights in units of the prior's s.d.")
    return finish(figure, axes, parameters_text({"sampling": cubes["sampling"]}, point, *more))


def _reach(counted: xr.Dataset | None, name: str, temperatures: Sequence) -> float:
    """Half-width of the panels of a row: as far as any of its histograms can be seen."""
    assert counted is not None
    shown = counted[name].sel(temperature=temperatures)
    seen = (shown > FLOOR).any([d for d in shown.dims if d != "bin"])
    middle = abs(counted["bin"].values)
    return float(np.max(middle[seen.values], initial=4.0)) + 2 * float(counted["bin"][1] - counted["bin"][0])


def _bars(ax: Axes, density: xr.DataArray) -> None:
    """The histogram, averaged over draws of the training set, on a logarithmic scale: Gaussians are parabolas."""
    pooled = density.mean("seed", skipna=True) if "seed" in density.dims else density
    x, y = pooled["bin"].values, pooled.values
    half = 0.5 * (x[1] - x[0])
    ax.set_yscale("log")
    ax.stairs(y, np.append(x - half, x[-1] + half), baseline=FLOOR, fill=True, color="0.85")
    ax.stairs(y, np.append(x - half, x[-1] + half), baseline=None, color=SAMPLING_COLOR, label="sampling")
    ax.set_ylim(FLOOR, 1.0)


def _gaussians(ax: Axes, variance: xr.DataArray, x: np.ndarray) -> None:
    """Gaussians of mean zero with the second moments of the theories, averaged over draws."""
    pooled = variance.mean("seed", skipna=True) if "seed" in variance.dims else variance
    for name in plain_values(pooled["approximation"]):
        look, value = approximation_look(name), float(pooled.sel(approximation=name))
        if np.isfinite(value):
            y = np.exp(-0.5 * x**2 / value) / np.sqrt(2 * np.pi * value)
            ax.plot(x, y, color=look.color, linestyle=look.linestyle, label=look.title)


add(
    Figure(
        "histograms",
        "distributions of weights",
        "Distributions of the readout weights and of the hidden weights along the signal, sampled, beside "
        "Gaussians of the theory.",
        """\
Weights are in units of the prior's standard deviation; Gaussians have mean zero and the second moments that
the theory predicts, and are parabolas on the logarithmic scale.

Agreement says that a unit's weights are jointly Gaussian to leading order; heavier tails or two humps are
where the Gaussian theory ends and the cavity theory goes on.""",
        _draw,
        section="3 Weights",
        needs=("sampling",),
        shows=tuple(moment for _, moment, *_ in WEIGHTS),
        reads="draws",
        sliced=True,
        order=60,
    )
)
