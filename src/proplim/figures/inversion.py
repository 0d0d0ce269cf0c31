"""T* against alpha, and the training error at the largest distance: at T* in equilibrium, at t* in training."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from proplim.figures._base import Cubes, Drawings, Figure, add
from proplim.figures._distances import BY_NAME, D
from proplim.figures._inversion_table import falling_quantity, inversion_table
from proplim.figures._looks import MARKERS, PALETTE, approximation_look, optimizer_look
from proplim.figures._panels import (
    finish,
    label_bottom,
    log_axis,
    number,
    panel_figure,
    parameters_text,
)
from proplim.figures._slices import FILE_DIMS, values_of
from proplim.figures._style import Style
from proplim.query import PRIOR, plain_values
from proplim.schema import AXES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

SPLIT = "train"


def _draw(cubes: Cubes, style: Style) -> Drawings:
    theories = [a for a in plain_values(cubes["theory"]["approximation"]) if a != PRIOR]
    if not theories or "peak_temperature" not in cubes["theory"]:
        return
    table = inversion_table(cubes, approximation=theories[0], split=SPLIT)
    quantity = falling_quantity(table) or D.name
    table = table[table["quantity"] == quantity]
    if table.empty or not (np.isfinite(table["T_star"]).any() or np.isfinite(table["inversion_mse"]).any()):
        return
    keys = [k for k in FILE_DIMS if k in table and k != "dataset"]
    for values, part in table.groupby(keys, sort=False):
        point = dict(zip(keys, values, strict=True))
        yield point, _page(cubes, point, part, BY_NAME[quantity].symbol, theories[0], style)


def _page(
    cubes: Cubes,
    point: Mapping[str, object],
    table: pd.DataFrame,
    symbol: str,
    approximation: str,
    style: Style,
) -> Canvas:
    figure, axes = panel_figure(1, 2, style, sharex=True, sharey=False)
    left, right = axes[0]
    # Where the load is an axis, lines run along it at a fixed P, where each point has a width of its own.
    fixed = "width" if "width" in cubes["dynamics"].dims else "n_train"
    datasets, fixed_values = values_of({"t": cubes["dynamics"]}, "dataset"), sorted(set(table[fixed]))
    markers = dict(zip(datasets, itertools.cycle(MARKERS), strict=False))
    colors = dict(zip(fixed_values, itertools.cycle(PALETTE), strict=False))
    first = table["optimizer"].iloc[0]
    for (dataset, value), group in table[table["optimizer"] == first].groupby(["dataset", fixed], sort=False):
        look = {"color": colors[value], "marker": markers[dataset], "markersize": 4.5}
        size = f"${AXES[fixed].symbol}={number(value)}$"
        name = f"{dataset}, {size}" if len(datasets) > 1 else size
        mean = group.groupby("alpha").mean(numeric_only=True)
        left.plot(mean.index, mean["T_star"], linestyle="-", label=name, **look)
        right.plot(mean.index, mean["T_star_mse"], linestyle="--", mfc="white", **look)
        turned = group[group["turning"] > 0]
        right.errorbar(
            turned["alpha"],
            turned["inversion_mse"],
            yerr=turned["inversion_mse_sd"].fillna(0.0),
            linestyle="",
            elinewidth=0.9,
            **look,
        )
    right.plot([], [], color="0.3", marker="o", mfc="white", linestyle="--", label="equilibrium at $T^*$")
    right.plot([], [], color="0.3", marker="o", linestyle="", label=f"{optimizer_look(first).title} at $t^*$")
    left.set_ylabel(f"$T^*$ of ${symbol}$")
    right.set_ylabel(f"training error at the maximum\nof ${symbol}$")
    for ax, names in ((left, ["T_star"]), (right, ["T_star_mse", "inversion_mse"])):
        if np.isfinite(table[names]).any(axis=None):
            ax.set_yscale("log")
        else:
            ax.text(0.5, 0.5, f"no maximum of ${symbol}$", transform=ax.transAxes, ha="center", color="0.5")
    _alpha_axis(left, np.unique(table["alpha"].to_numpy()))
    label_bottom(axes, r"$\alpha=P/N$")
    of = table[table["optimizer"] == first]
    share = f"${symbol}$ turns in {int(of['turning'].sum())} of {int(of['replicas'].sum())} trained networks"
    share += f" and in their mean at {int(np.isfinite(of['mean_fall']).sum())} of {len(of)} points"
    title = approximation_look(approximation).title
    return finish(
        figure,
        axes,
        parameters_text(cubes, point, f"theory: {title}", share, "training inputs"),
        legend_columns=3,
    )


def _alpha_axis(ax: Axes, alphas: np.ndarray) -> None:
    """Logarithmic axis labelled with the values of alpha themselves, as far as they have room."""
    from matplotlib.ticker import NullLocator

    log_axis(ax, [alphas])
    ax.margins(x=0.08)
    ax.autoscale(axis="x")
    shown: list[float] = []
    for alpha in alphas.tolist():
        if not shown or alpha > shown[-1] * (alphas[-1] / alphas[0]) ** 0.12:
            shown.append(alpha)
    ax.set_xticks(shown, [f"{alpha:.3g}" for alpha in shown])
    ax.xaxis.set_minor_locator(NullLocator())


add(
    Figure(
        "inversion",
        "T* beside the inversion",
        "T* beside the inversion, against alpha.",
        """\
Left, T* of the theory; right, the training error at the maximum, in equilibrium (at T*, open symbols)
and in training (at the inversion, full symbols, mean and spread of the networks that turn). The distance is
the one that the axes name: D, or where the mean of D over networks does not fall in time the measure that does,
``D/(R_+^2 + R_-^2)`` or the normalised distance. inversion.csv has all of them.

Where the two agree, the distance turns at the same quality of fit in equilibrium and in training. A symbol that is
missing has no maximum: the distance did not turn within the recorded times.""",
        _draw,
        section="6 Training",
        needs=("theory", "dynamics"),
        split=SPLIT,
        shows=("peak_temperature", "inversion_mse", "inversion_time", "inversion_height"),
        order=120,
    )
)
