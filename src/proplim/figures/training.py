"""Observables against time under gradient descent and other optimizers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from proplim.figures._panels import (
    draw_line,
    finish,
    label_bottom,
    log_axis,
    panel_figure,
    panel_title,
    parameters_text,
)
from proplim.figures._slices import (
    Cubes,
    Curve,
    Point,
    at,
    dynamics_curve,
    has_data,
    theory_curve,
)
from proplim.figures._style import OPTIMIZER_COLORS, Look, Style, approximation_look
from proplim.figures._temperature import Drawings, width_pages
from proplim.query import parabola_peak

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = (("centroid_distance_sq", "class distance $D$"), ("mse", "training error"))


def training(cubes: Cubes, style: Style) -> Drawings:
    """D (with the prior's value and the maximum) and the training error against time; one file a width."""
    if "dynamics" not in cubes:
        return
    dynamics = {"dynamics": cubes["dynamics"]}
    for key, here, n_trains in width_pages(dynamics, [name for name, _ in ROWS]):
        yield key, _page(cubes, here, n_trains, style)


def _page(cubes: Cubes, point: Point, n_trains: Sequence, style: Style) -> Figure:
    figure, axes = panel_figure(len(ROWS), len(n_trains), style, sharey="row")
    dynamics = cubes["dynamics"]
    axes[1, 0].set_yscale("log")  # shared by the row; set first, bands depend on it
    for j, n_train in enumerate(n_trains):
        where = {**point, "n_train": n_train}
        here = at(dynamics, where)
        for ax, (name, ylabel) in zip(axes[:, j], ROWS, strict=True):
            for k, optimizer in enumerate(dynamics["optimizer"].values.tolist()):
                if has_data(here, [name]):
                    assert here is not None
                    look = Look(OPTIMIZER_COLORS[k % len(OPTIMIZER_COLORS)], "-", optimizer.replace("_", " "))
                    curve = _positive_time(dynamics_curve(here, name, optimizer, split="train"))
                    draw_line(ax, curve, look, look.title)
                    if name == "centroid_distance_sq":
                        _mark_maximum(ax, curve, look.color)
            if j == 0:
                ax.set_ylabel(ylabel)
        _prior_line(axes[0, j], cubes, where)
        axes[0, j].set_title(panel_title(n_train, point["width"]), y=1.0)
    figure.align_ylabels(axes[:, 0])
    log_axis(axes[0, 0], [np.asarray(dynamics["time"].values, dtype=float)])
    label_bottom(axes, r"time $t$ (learning rate $\times$ step)")
    replicas = int(dynamics.sizes.get("replica", 1))
    spread = f"{replicas} initialisation{'s (mean, spread: s.d.)' if replicas > 1 else ''}"
    text = parameters_text({"dynamics": dynamics}, point, spread, "training inputs")
    return finish(figure, axes, text)


def _positive_time(curve: Curve) -> Curve:
    keep = curve.x > 0
    # A replica that diverged is left out of the mean, so the mean of the others is as solid as they are.
    return Curve(curve.x[keep], curve.y[keep], curve.spread[keep], np.ones(int(keep.sum()), dtype=bool))


def _mark_maximum(ax: Axes, curve: Curve, color: str) -> None:
    position, height = parabola_peak(curve.x, curve.y)
    if np.isfinite(position):
        ax.plot(
            [position],
            [height],
            marker="v",
            color=color,
            markersize=4.5,
            linestyle="",
            label="maximum of $D$",
        )


def _prior_line(ax: Axes, cubes: Cubes, where: Point) -> None:
    """Dashed line at the prior's D, which infinite width keeps at every temperature."""
    theory = at(cubes.get("theory"), where)
    if theory is None or "infinite_width" not in theory["approximation"].values:
        return
    curve = theory_curve(theory, "centroid_distance_sq", "infinite_width", split="train")
    if curve.y.size:
        look = approximation_look("infinite_width")
        ax.axhline(
            float(curve.y.mean()), color=look.color, linestyle=look.linestyle, linewidth=1, label="prior"
        )
