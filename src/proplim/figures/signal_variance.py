"""Second moment of the hidden weights along the signal direction u against T."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from proplim.figures._base import EQUILIBRIUM, Cubes, Drawings, Figure, add
from proplim.figures._pages import temperature_panels, theory_lines
from proplim.figures._panels import draw_points, symbol
from proplim.figures._slices import sampling_curve
from proplim.figures._style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "signal_variance"


def _draw(cubes: Cubes, style: Style) -> Drawings:
    yield from temperature_panels(
        cubes, [NAME], _paint, f"hidden weights along the signal, {symbol(NAME)}", style
    )


def _paint(ax: Axes, theory: xr.Dataset | None, sampling: xr.Dataset | None) -> None:
    theory_lines(ax, theory, NAME)
    if sampling is not None:
        draw_points(ax, sampling_curve(sampling, NAME), "sampling")


add(
    Figure(
        "signal_variance",
        "hidden weights along the signal",
        "Second moment of the hidden weights along the signal direction u against temperature.",
        """\
u is the direction in input space in which the theory finds hidden and readout weights correlated; the
prior's value is 1/lambda0.

An excess over the prior is a spike of the hidden-weight covariance: units turn towards the signal. It is of
order one at finite alpha although every single entry of the covariance changes by O(1/N) only.""",
        _draw,
        section="3 Weights",
        any_of=EQUILIBRIUM,
        shows=(NAME,),
        order=50,
    )
)
