"""Every variable that no other figure shows, against T: theory lines and sampled points; a row a variable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from proplim.figures._base import EQUILIBRIUM, Cubes, Drawings, Figure, add
from proplim.figures._members import draw_members
from proplim.figures._pages import Row, equilibrium, row_pages
from proplim.figures._panels import MAX_ROWS, pages
from proplim.figures._style import Style
from proplim.figures._unshown import axis_label, names_of_page, spans_decades, splits_of, unshown

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _draw(cubes: Cubes, style: Style) -> Drawings:
    both = equilibrium(cubes)
    rows = [
        _row(both, name, split) for name in unshown(both, "temperature") for split in splits_of(both, name)
    ]
    for some in pages(rows, MAX_ROWS):
        for key, page in row_pages(both, some, style):
            yield {**key, "variable": names_of_page(n for row in some for n in row.names)}, page


def _row(cubes: Cubes, name: str, split: str | None) -> Row:
    where: dict[str, Any] = {} if split is None else {"split": split}

    def paint(ax: Axes, theory: xr.Dataset | None, sampling: xr.Dataset | None) -> None:
        draw_members(ax, theory, sampling, name, **where)

    label = axis_label(cubes, name, split)
    return Row((name,), label, paint, spans_decades(cubes, name, where))


add(
    Figure(
        "observables",
        "other observables",
        "Further variables of the cubes against temperature.",
        """\
Whatever the cubes hold that no figure of its own shows, observables of one's own among it. Lines are
theory, points are sampled posteriors with their Monte-Carlo error. Where a variable has classes, outputs or
pairs of classes, line styles and markers tell them apart.""",
        _draw,
        any_of=EQUILIBRIUM,
        sliced=True,
        order=200,
    )
)
