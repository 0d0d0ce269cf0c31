"""Squared gyration radii of the classes against T."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from proplim.figures._base import EQUILIBRIUM, Cubes, Drawings, Figure, add
from proplim.figures._members import draw_members
from proplim.figures._pages import INPUTS, inputs_held, temperature_panels
from proplim.figures._style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "gyration_radius_sq"


def _draw(cubes: Cubes, style: Style) -> Drawings:
    for split in inputs_held(cubes):

        def paint(
            ax: Axes, theory: xr.Dataset | None, sampling: xr.Dataset | None, split: str = split
        ) -> None:
            draw_members(ax, theory, sampling, NAME, split=split)

        ylabel = "squared gyration radius $R_s^2$"
        for key, page in temperature_panels(cubes, [NAME], paint, ylabel, style, INPUTS[split]):
            yield {**key, "split": split}, page


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
sampled radii fall much further, units have left the Gaussian regime.""",
        _draw,
        section="2 Class sizes",
        any_of=EQUILIBRIUM,
        shows=(NAME,),
        order=30,
    )
)
