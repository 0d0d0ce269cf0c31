"""Curves of a variable that has dimensions of its own: one line style and marker for each class, output or pair."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import xarray as xr

from proplim.figures._looks import approximation_look, class_line, class_marker, class_name
from proplim.figures._pages import theories
from proplim.figures._panels import draw_line, draw_points
from proplim.figures._slices import sampling_curve, theory_curve
from proplim.schema import AXES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SYMBOLS = {"label": "y"}
"""How a dimension is written in legends; others by their name."""
_STAGE_DIMS = ("approximation", "statistic", "optimizer", "replica", "time", "split")
Member = tuple[dict[str, Any], str, str, str]
"""Where it is, line style, marker, and what legends add ("" where there is only one)."""


def members_of(cube: xr.Dataset, name: str) -> list[Member]:
    """Every combination of the values of the dimensions that a variable has beside grid, stage and split."""
    own = [str(d) for d in cube[name].dims if d not in AXES and d not in _STAGE_DIMS]
    values = [cube[d].values.tolist() if d in cube.coords else list(range(cube.sizes[d])) for d in own]
    found = list(itertools.product(*values))
    members: list[Member] = []
    for index, combination in enumerate(found):
        words = [class_name(v, SYMBOLS.get(d, d)) for d, v in zip(own, combination, strict=True)]
        look = class_line(index, len(found)), class_marker(index, len(found))
        members.append((dict(zip(own, combination, strict=True)), *look, ", ".join(words)))
    return members


def draw_members(
    ax: Axes, theory: xr.Dataset | None, sampling: xr.Dataset | None, name: str, **where: Any
) -> None:
    """Theory lines and sampled points of every member of a variable against temperature."""
    for member, line, marker, words in _members_in_either(theory, sampling, name):
        here = {**where, **member}
        ending = f", {words}" if words else ""
        for approximation, solved in theories(theory):
            look = approximation_look(approximation)
            curve = theory_curve(solved, name, approximation, **here)
            if curve.x.size:  # a theory without this variable has no place in the legend
                draw_line(ax, curve, look, f"{look.title}{ending}", linestyle=line if words else None)
        if sampling is not None:
            draw_points(ax, sampling_curve(sampling, name, **here), f"sampling{ending}", marker=marker)


def _members_in_either(theory: xr.Dataset | None, sampling: xr.Dataset | None, name: str) -> list[Member]:
    for cube in (theory, sampling):
        if cube is not None and name in cube:
            return members_of(cube, name)
    return []
