"""Statistics of a single hidden unit against T: a file a width, a row a quantity, a column a training-set size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from proplim.figures._base import EQUILIBRIUM, Cubes, Drawings, Figure, add
from proplim.figures._pages import equilibrium, theory_lines, width_pages
from proplim.figures._panels import (
    draw_points,
    finish,
    label_bottom,
    log_axis,
    panel_figure,
    panel_title,
    parameters_text,
    symbol,
)
from proplim.figures._slices import Point, at, has_data, sampling_curve, values_of
from proplim.figures._style import Style

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

ROWS = ("readout_variance", "hidden_trace_shift", "readout_signal_covariance")


def _draw(cubes: Cubes, style: Style) -> Drawings:
    both = equilibrium(cubes)
    for key, here, n_trains in width_pages(both, ROWS):
        yield key, _page(both, here, n_trains, style)


def _page(both: Cubes, point: Point, n_trains: Sequence, style: Style) -> Canvas:
    figure, axes = panel_figure(len(ROWS), len(n_trains), style, sharey="row")
    for j, n_train in enumerate(n_trains):
        theory, sampling = (at(both.get(k), {**point, "n_train": n_train}) for k in EQUILIBRIUM)
        for ax, name in zip(axes[:, j], ROWS, strict=True):
            theory_lines(ax, theory if has_data(theory, [name]) else None, name)
            if has_data(sampling, [name]):
                assert sampling is not None
                draw_points(ax, sampling_curve(sampling, name), "sampling")
            if j == 0:
                ax.set_ylabel(symbol(name))
        axes[0, j].set_title(panel_title({**point, "n_train": n_train}), y=1.0)
    figure.align_ylabels(axes[:, 0])
    log_axis(axes[0, 0], [np.asarray(values_of(both, "temperature"), dtype=float)])
    label_bottom(axes, "temperature $T$")
    return finish(figure, axes, parameters_text(both, point))


add(
    Figure(
        "weights",
        "readout and hidden weights",
        "Statistics of single hidden units against temperature.",
        """\
From top to bottom: the second moment of the readout weights, the squared norm of the hidden weights minus
its prior value, and the covariance of readout and hidden weights along the signal direction u.

At infinite width all three are those of the prior: weights do not move. At finite alpha the readout
variance is Q/lambda1; the covariance is what aligns a unit's input weights with the direction in which its
readout pushes, the mechanism by which D grows. It vanishes at high T. These single-unit statistics show
first, at low T and alpha above 1, where the proportional theory leaves real networks on structured data.""",
        _draw,
        section="3 Weights",
        any_of=EQUILIBRIUM,
        shows=ROWS,
        order=40,
    )
)
