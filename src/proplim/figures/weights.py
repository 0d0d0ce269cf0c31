"""Statistics of a single hidden unit against T: a row a quantity, a column a (P, N)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from proplim.figures._base import EQUILIBRIUM, Cubes, Drawings, Figure, add
from proplim.figures._pages import Row, row_pages, theory_lines
from proplim.figures._panels import draw_points, symbol
from proplim.figures._slices import sampling_curve
from proplim.figures._style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS = ("readout_variance", "hidden_trace_shift", "readout_signal_covariance", "signal_variance")


def _draw(cubes: Cubes, style: Style) -> Drawings:
    yield from row_pages(cubes, [_row(name) for name in ROWS], style)


def _row(name: str) -> Row:
    def paint(ax: Axes, theory: xr.Dataset | None, sampling: xr.Dataset | None) -> None:
        theory_lines(ax, theory, name)
        if sampling is not None:
            draw_points(ax, sampling_curve(sampling, name), "sampling")

    return Row((name,), symbol(name), paint)


add(
    Figure(
        "weights",
        "readout and hidden weights",
        "Statistics of single hidden units against temperature.",
        """\
From top to bottom: the second moment of the readout weights, the squared norm of the hidden weights minus
its prior value, the covariance of readout and hidden weights along the signal direction u (the direction in
input space in which the theory finds them correlated), and the second moment of the hidden weights along u.

At infinite width all four are those of the prior: weights do not move. At finite alpha the readout
variance is Q/lambda1; the covariance is what aligns a unit's input weights with the direction in which its
readout pushes, the mechanism by which D grows. It vanishes at high T. An excess along u over 1/lambda0 is a
spike of the hidden-weight covariance, of order one although single entries change by O(1/N). These
single-unit statistics show first, at low T and alpha above 1, where the proportional theory leaves real
networks on structured data.""",
        _draw,
        section="3 Weights",
        any_of=EQUILIBRIUM,
        shows=ROWS,
        sliced=True,
        order=40,
    )
)
