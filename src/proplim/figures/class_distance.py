"""D against T: theory lines, infinite width, sampled points with error bars, and T* of each theory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from proplim.figures._base import EQUILIBRIUM, Cubes, Drawings, Figure, add
from proplim.figures._looks import approximation_look
from proplim.figures._pages import INPUTS, Row, inputs_held, row_pages, theories, theory_lines
from proplim.figures._panels import draw_points
from proplim.figures._slices import mean_peak, sampling_curve
from proplim.figures._style import Style
from proplim.query import PRIOR

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "centroid_distance_sq"
SHOWN = ((NAME, "class distance $D$"), ("normalized_centroid_distance_sq", r"normalised, $\hat{D}$"))


def _draw(cubes: Cubes, style: Style) -> Drawings:
    rows = [_row(name, label, split) for name, label in SHOWN for split in inputs_held(cubes)]
    yield from row_pages(cubes, rows, style)


def _row(name: str, label: str, split: str) -> Row:
    def paint(ax: Axes, theory: xr.Dataset | None, sampling: xr.Dataset | None) -> None:
        theory_lines(ax, theory, name, split=split)
        if sampling is not None:
            draw_points(ax, sampling_curve(sampling, name, split=split), "sampling")
        if name == NAME:
            _mark_peaks(ax, theory, split)

    return Row((name,), f"{label}\n{INPUTS[split]}", paint)


def _mark_peaks(ax: Axes, theory: xr.Dataset | None, split: str) -> None:
    """A tick from the maximum down to the axis of T, for every theory whose D has one."""
    for approximation, solved in theories(theory):
        if approximation == PRIOR:
            continue  # its D is the prior's, at every T
        position, height = mean_peak(solved, approximation, split)
        if not np.isfinite(position):
            continue
        color = approximation_look(approximation).color
        ax.axvline(position, color=color, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
        ax.plot([position], [height], marker="v", color=color, markersize=4.5, linestyle="", label="$T^*$")


add(
    Figure(
        "class_distance",
        "class distance",
        "Squared distance of the class centroids in feature space against temperature.",
        """\
Lines are theory, dashed at infinite width, where D is that of the prior at every T; points are sampled
posteriors with their Monte-Carlo error; the mark is T*, the temperature of the largest D.

At high T the data do not count and D is the prior's. As T is lowered the labels pull the classes apart in
the hidden layer; at low T every label is fitted, noise included, and part of the distance is given back.
The maximum is the equilibrium counterpart of the inversion that training shows in time. Its height grows
with alpha = P/N. Where points and line differ by more than the error bars, features are not effectively
Gaussian: on images the proportional theory is low, by about one per cent at high T and by ten and more at
low T. Section 7 has the numbers. Below, the same of features scaled to unit length (cosine kernel), in
which growth of their length does not hide what their directions do.""",
        _draw,
        section="1 Class distance",
        any_of=EQUILIBRIUM,
        shows=tuple(name for name, _ in SHOWN),
        sliced=True,
        order=10,
    )
)
