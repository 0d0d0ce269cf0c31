"""Every variable of training that no other figure shows, against time; a file a variable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from proplim.figures._base import Cubes, Drawings, Figure, add
from proplim.figures._looks import optimizer_look
from proplim.figures._members import members_of
from proplim.figures._pages import INPUTS, panel_pages
from proplim.figures._panels import (
    draw_line,
    finish,
    label_bottom,
    log_axis,
    panel_figure,
    panel_title,
    parameters_text,
)
from proplim.figures._slices import Point, at, dynamics_curve, has_data, size_axis
from proplim.figures._style import Style
from proplim.figures._unshown import axis_label, spans_decades, splits_of, unshown
from proplim.figures.training import TIME_LABEL, positive_time, replicas_text
from proplim.query import plain_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


def _draw(cubes: Cubes, style: Style) -> Drawings:
    dynamics = {"dynamics": cubes["dynamics"]}
    for name in unshown(dynamics, "time"):
        for split in splits_of(dynamics, name):
            where: dict[str, Any] = {} if split is None else {"split": split}
            for key, point, sizes, n_trains in panel_pages(dynamics, [name]):
                page = _page(cubes, point, sizes, n_trains, name, where, style)
                yield {**key, "variable": name, **where}, page


def _page(
    cubes: Cubes,
    point: Point,
    sizes: Sequence,
    n_trains: Sequence,
    name: str,
    where: dict[str, Any],
    style: Style,
) -> Canvas:
    only = {"dynamics": cubes["dynamics"]}
    figure, axes = panel_figure(len(sizes), len(n_trains), style)
    if spans_decades(only, name, where):
        axes[0, 0].set_yscale("log")  # shared; set first, bands depend on it
    axis = size_axis(only)
    for i, size in enumerate(sizes):
        for j, n_train in enumerate(n_trains):
            panel = {**point, "n_train": n_train, axis: size}
            here = at(cubes["dynamics"], panel)
            if has_data(here, [name]):
                _curves(axes[i, j], here, name, where)
            axes[i, j].set_title(panel_title(panel), y=1.0)
    log_axis(axes[0, 0], [np.asarray(cubes["dynamics"]["time"].values, dtype=float)])
    label_bottom(axes, TIME_LABEL)
    figure.supylabel(axis_label(only, name), fontsize="medium")
    inputs = INPUTS.get(where["split"], where["split"]) if where else ""
    return finish(figure, axes, parameters_text(only, point, replicas_text(cubes["dynamics"]), inputs))


def _curves(ax: Axes, here: Any, name: str, where: dict[str, Any]) -> None:
    for member, line, _, words in members_of(here, name):
        for optimizer in plain_values(here["optimizer"]):
            look = optimizer_look(optimizer)
            curve = positive_time(dynamics_curve(here, name, optimizer, **where, **member))
            title = f"{look.title}, {words}" if words else look.title
            if curve.x.size:
                draw_line(ax, curve, look, title, linestyle=line if words else None)


add(
    Figure(
        "observables_in_time",
        "other observables in time",
        "Further variables of training against time, one a file.",
        """\
Whatever the cube of training holds that no figure of its own shows, observables of one's own among it.
Lines are means over replicas (independent draws of the prior), bands their spread. Where a variable has
classes, outputs or pairs of classes, line styles tell them apart.""",
        _draw,
        needs=("dynamics",),
        order=210,
    )
)
