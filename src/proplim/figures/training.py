"""Class distance and training error against time, one file a width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from proplim.dynamics import find_turn
from proplim.figures._base import Cubes, Drawings, Figure, add
from proplim.figures._distances import Distance, shown_in_time, verdict, with_distances
from proplim.figures._looks import approximation_look, optimizer_look
from proplim.figures._pages import width_pages
from proplim.figures._panels import (
    draw_line,
    finish,
    label_bottom,
    log_axis,
    panel_figure,
    panel_title,
    parameters_text,
)
from proplim.figures._slices import Curve, Point, at, dynamics_curve, has_data, theory_curve
from proplim.figures._style import Style
from proplim.query import PRIOR, parabola_peak, plain_values

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

ERROR = "mse"
FITTED = 1e-8
"""Training error below which nothing is left to be seen."""
TIME_LABEL = r"time $t$ (learning rate $\times$ step)"


def _draw(cubes: Cubes, style: Style) -> Drawings:
    cubes = with_distances({stage: cubes[stage] for stage in ("theory", "dynamics") if stage in cubes})
    distances = shown_in_time(cubes["dynamics"])
    for key, here, n_trains in width_pages({"dynamics": cubes["dynamics"]}, [distances[0].name, ERROR]):
        yield key, _page(cubes, distances, here, n_trains, style)


def _page(
    cubes: Cubes, distances: Sequence[Distance], point: Point, n_trains: Sequence, style: Style
) -> Canvas:
    rows = [*((distance.name, distance.label) for distance in distances), (ERROR, "training error")]
    figure, axes = panel_figure(len(rows), len(n_trains), style, sharey="row")
    dynamics = cubes["dynamics"]
    axes[-1, 0].set_yscale("log")  # shared by the row; set first, bands depend on it
    for j, n_train in enumerate(n_trains):
        where = {**point, "n_train": n_train}
        here = at(dynamics, where)
        for ax, (name, ylabel) in zip(axes[:, j], rows, strict=True):
            for optimizer in plain_values(dynamics["optimizer"]):
                if has_data(here, [name]):
                    assert here is not None
                    look = optimizer_look(optimizer)
                    curve = positive_time(dynamics_curve(here, name, optimizer, split="train"))
                    draw_line(ax, curve, look, look.title)
                    if name != ERROR:
                        _mark_maximum(ax, curve, look.color)
            if j == 0:
                ax.set_ylabel(ylabel)
        for ax, distance in zip(axes[:, j], distances, strict=False):
            _prior_line(ax, cubes, where, distance.name)
        axes[0, j].set_title(panel_title({**point, "n_train": n_train}), y=1.0)
    axes[-1, 0].set_ylim(bottom=max(axes[-1, 0].get_ylim()[0], FITTED))
    figure.align_ylabels(axes[:, 0])
    log_axis(axes[0, 0], [np.asarray(dynamics["time"].values, dtype=float)])
    label_bottom(axes, TIME_LABEL)
    text = parameters_text(
        {"dynamics": dynamics}, point, replicas_text(dynamics), "training inputs", verdict(dynamics)
    )
    return finish(figure, axes, text)


def replicas_text(dynamics: xr.Dataset) -> str:
    """How many networks are averaged, for the line below a figure."""
    replicas = int(dynamics.sizes.get("replica", 1))
    return f"{replicas} initialisation{'s (mean, spread: s.d.)' if replicas > 1 else ''}"


def positive_time(curve: Curve) -> Curve:
    """A curve without the start, which has no place on a logarithmic axis."""
    keep = curve.x > 0
    # A replica that diverged is left out of the mean, so the mean of the others is as solid as they are.
    return Curve(curve.x[keep], curve.y[keep], curve.spread[keep], np.ones(int(keep.sum()), dtype=bool))


def _mark_maximum(ax: Axes, curve: Curve, color: str) -> None:
    """A mark where the curve turns; the end of a rise is none."""
    if find_turn(curve.y) is None:
        return
    position, height = parabola_peak(curve.x, curve.y)
    if np.isfinite(position):
        ax.plot(
            [position],
            [height],
            marker="v",
            color=color,
            markersize=4.5,
            linestyle="",
            label="maximum",
        )


def _prior_line(ax: Axes, cubes: Cubes, where: Point, name: str) -> None:
    """Dashed line at the prior's distance, which infinite width keeps at every temperature."""
    theory = at(cubes.get("theory"), where)
    if theory is None or PRIOR not in plain_values(theory["approximation"]):
        return
    curve = theory_curve(theory, name, PRIOR, split="train")
    if curve.y.size:
        look = approximation_look(PRIOR)
        ax.axhline(
            float(curve.y.mean()), color=look.color, linestyle=look.linestyle, linewidth=1, label="prior"
        )


add(
    Figure(
        "training",
        "class distance in time",
        "Class distance and training error in training from the prior, against time (learning rate times step).",
        """\
The line is the mean over replicas (independent draws of the prior), the band their spread, the dashed line
the prior's distance; the triangle is where the mean is largest.

The classes move apart while the bulk of the inputs is fitted and come closer again while the last, hard ones are,
although the training error decreases throughout: the inversion. D itself often only slows down, since the features
go on growing; ``D/(R_+^2 + R_-^2)``, in units of the class sizes, or the normalised distance then has a row of its own,
and the line below says in which measure the mean over networks falls. If all still rise at the last recorded time,
train for longer (dynamics.t_max).""",
        _draw,
        section="6 Training",
        needs=("dynamics",),
        split="train",
        shows=("centroid_distance_sq", ERROR),
        sliced=True,
        order=100,
    )
)
