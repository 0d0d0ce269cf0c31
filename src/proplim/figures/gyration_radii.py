"""Squared gyration radii of the classes against T."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from proplim.figures._base import EQUILIBRIUM, Cubes, Drawings, Figure, add
from proplim.figures._members import draw_members
from proplim.figures._pages import INPUTS, Row, inputs_held, row_pages
from proplim.figures._style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = (
    ("gyration_radius_sq", "gyration radius $R_s^2$"),
    ("normalized_gyration_radius_sq", r"normalised, $\hat{R}_s^2$"),
)


def _draw(cubes: Cubes, style: Style) -> Drawings:
    rows = [_row(name, label, split) for name, label in SHOWN for split in inputs_held(cubes)]
    yield from row_pages(cubes, rows, style)


def _row(name: str, label: str, split: str) -> Row:
    def paint(ax: Axes, theory: xr.Dataset | None, sampling: xr.Dataset | None) -> None:
        draw_members(ax, theory, sampling, name, split=split)

    return Row((name,), f"{label}\n{INPUTS[split]}", paint)


add(
    Figure(
        "gyration_radii",
        "gyration radii",
        "Squared gyration radii of the classes in feature space against temperature.",
        """\
How far inputs of a class spread around their centroid in the hidden layer; line styles and markers tell
classes apart.

Feature learning that separates classes shows as D growing relative to these radii. A radius that falls
where D rises means that classes contract while moving apart. Theory changes the radii by little; where
sampled radii fall much further, units have left the Gaussian regime. Below, the same of features scaled to
unit length.""",
        _draw,
        section="2 Class sizes",
        any_of=EQUILIBRIUM,
        shows=tuple(name for name, _ in SHOWN),
        sliced=True,
        order=30,
    )
)
