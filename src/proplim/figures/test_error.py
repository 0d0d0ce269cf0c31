"""Test error against T: mean squared error, and the squared bias of the mean predictor (dotted)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from proplim.figures._base import EQUILIBRIUM, Cubes, Drawings, Figure, add
from proplim.figures._looks import approximation_look
from proplim.figures._pages import INPUTS, temperature_panels, theories
from proplim.figures._panels import draw_line, draw_points
from proplim.figures._slices import sampling_curve, theory_curve
from proplim.figures._style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ERRORS = (("mse", "error", "-", "o"), ("bias_sq", r"bias$^2$", ":", "s"))
"""Variable, name in the legend, line and marker."""


def _draw(cubes: Cubes, style: Style) -> Drawings:
    ylabel = r"test error $\langle (y-f)^2\rangle$"
    yield from temperature_panels(cubes, [name for name, *_ in ERRORS], _paint, ylabel, style, INPUTS["test"])


def _paint(ax: Axes, theory: xr.Dataset | None, sampling: xr.Dataset | None) -> None:
    for approximation, solved in theories(theory):
        look = approximation_look(approximation)
        for name, what, line, _ in ERRORS:
            curve = theory_curve(solved, name, approximation, split="test")
            draw_line(ax, curve, look, f"{look.title}, {what}", linestyle=line)
    if sampling is not None:
        for name, what, _, marker in ERRORS:
            draw_points(ax, sampling_curve(sampling, name, split="test"), f"sampling, {what}", marker=marker)


add(
    Figure(
        "test_error",
        "test error",
        "Test error against temperature.",
        """\
Mean squared error over posterior and test inputs, and the part of it that the mean predictor makes (bias,
dotted); the rest is posterior variance.

The predictor of the proportional theory is Gaussian-process regression with the prior rescaled by Q, so the
curves differ from those at infinite width by that factor alone. Compare the T of the smallest error with
T*: learning features and generalising best are not the same temperature.""",
        _draw,
        section="4 Test error",
        any_of=EQUILIBRIUM,
        split="test",
        shows=("mse", "bias_sq"),
        sliced=True,
        order=70,
    )
)
