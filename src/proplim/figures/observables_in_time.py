"""Every variable of training that no other figure shows, against time; a row a variable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from proplim.figures._base import Cubes, Drawings, Figure, add
from proplim.figures._looks import optimizer_look
from proplim.figures._members import members_of
from proplim.figures._pages import column_pages
from proplim.figures._panels import (
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
from proplim.figures._slices import Point, at, dynamics_curve, has_data
from proplim.figures._style import Style
from proplim.figures._unshown import axis_label, names_of_page, spans_decades, splits_of, unshown
from proplim.figures.training import TIME_LABEL, positive_time, replicas_text
from proplim.query import plain_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


def _draw(cubes: Cubes, style: Style) -> Drawings:
    dynamics = {"dynamics": cubes["dynamics"]}
    names = unshown(dynamics, "time")
    rows = [(name, split) for name in names for split in splits_of(dynamics, name)]
    parts = pages(range(len(rows)), MAX_ROWS)
    for some in parts:
        here = [rows[i] for i in some]
        shown = [name for name, _ in here]
        for key, point, columns in column_pages(dynamics, shown):
            yield {**key, "variable": names_of_page(shown)}, _page(dynamics, point, columns, here, style)


def _page(
    only: Cubes,
    point: Point,
    columns: Sequence[Point],
    rows: Sequence[tuple[str, str | None]],
    style: Style,
) -> Canvas:
    dynamics = only["dynamics"]
    figure, axes = panel_figure(len(rows), len(columns), style, sharey="row")
    for line, (name, split) in zip(axes, rows, strict=True):
        where: dict[str, Any] = {} if split is None else {"split": split}
        if spans_decades(only, name, where):
            line[0].set_yscale("log")  # shared; set first, bands depend on it
        line[0].set_ylabel(axis_label(only, name, split))
        line[0].set_label(name)  # not drawn: which variable a row shows
        for ax, panel in zip(line, columns, strict=True):
            here = at(dynamics, panel)
            if has_data(here, [name]):
                _curves(ax, here, name, where)
    for ax, panel in zip(axes[0], columns, strict=True):
        ax.set_title(panel_title(panel), y=1.0)
    figure.align_ylabels(axes[:, 0])
    log_axis(axes[0, 0], [np.asarray(dynamics["time"].values, dtype=float)])
    label_bottom(axes, TIME_LABEL)
    return finish(figure, axes, parameters_text(only, point, replicas_text(dynamics)))


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
        "Further variables of training against time.",
        """\
Whatever the cube of training holds that no figure of its own shows, observables of one's own among it.
Lines are means over replicas (independent draws of the prior), bands their spread. Where a variable has
classes, outputs or pairs of classes, line styles tell them apart.""",
        _draw,
        needs=("dynamics",),
        sliced=True,
        order=210,
    )
)
