"""Every variable that no other figure shows, against T: theory lines and sampled points; a file a variable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from proplim.figures._base import EQUILIBRIUM, Cubes, Drawings, Figure, add
from proplim.figures._members import draw_members
from proplim.figures._pages import INPUTS, equilibrium, temperature_panels
from proplim.figures._style import Style
from proplim.figures._unshown import axis_label, spans_decades, splits_of, unshown

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _draw(cubes: Cubes, style: Style) -> Drawings:
    both = equilibrium(cubes)
    for name in unshown(both, "temperature"):
        for split in splits_of(both, name):
            where: dict[str, Any] = {} if split is None else {"split": split}
            logarithmic = spans_decades(both, name, where)

            def paint(
                ax: Axes,
                theory: xr.Dataset | None,
                sampling: xr.Dataset | None,
                name: str = name,
                where: dict[str, Any] = where,
                logarithmic: bool = logarithmic,
            ) -> None:
                if logarithmic:
                    ax.set_yscale("log")
                theory, sampling = (c if c is not None and name in c else None for c in (theory, sampling))
                draw_members(ax, theory, sampling, name, **where)

            inputs = "" if split is None else INPUTS.get(split, split)
            panels = temperature_panels(cubes, [name], paint, axis_label(both, name), style, inputs)
            for key, page in panels:
                yield {**key, "variable": name, **where}, page


add(
    Figure(
        "observables",
        "other observables",
        "Further variables of the cubes against temperature, one a file.",
        """\
Whatever the cubes hold that no figure of its own shows, observables of one's own among it. Lines are
theory, points are sampled posteriors with their Monte-Carlo error. Where a variable has classes, outputs or
pairs of classes, line styles and markers tell them apart.""",
        _draw,
        any_of=EQUILIBRIUM,
        order=200,
    )
)
