"""D of every pair of classes against T: theory lines and sampled points, a colour a pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from proplim.figures._base import EQUILIBRIUM, Cubes, Drawings, Figure, add
from proplim.figures._looks import PALETTE, Look, approximation_look
from proplim.figures._pages import INPUTS, Row, inputs_held, row_pages, theories
from proplim.figures._panels import draw_line, draw_points
from proplim.figures._slices import Curve, sampling_curve, theory_curve
from proplim.figures._style import Style
from proplim.query import PRIOR, plain_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "centroid_distance_sq"
FEW = len(PALETTE)
"""Pairs that are told apart by colours of their own, in the legend."""
THIN = 0.8
"""Width of the lines of more pairs than that."""
COLORS = "viridis"


def _draw(cubes: Cubes, style: Style) -> Drawings:
    if not any("pair" in cube.dims for cube in cubes.values()):
        return
    splits = inputs_held(cubes)
    relative = "theory" in cubes and PRIOR in plain_values(cubes["theory"]["approximation"])
    rows = [_row(split) for split in splits]
    rows += [_row(split, relative=True) for split in splits if relative]
    more = "dark: far apart in the prior, bright: close" if _n_pairs(cubes) > FEW else ""
    yield from row_pages(cubes, rows, style, more)


def _n_pairs(cubes: Cubes) -> int:
    return max(int(cube.sizes.get("pair", 0)) for cube in cubes.values())


def _row(split: str, *, relative: bool = False) -> Row:
    def paint(ax: Axes, theory: xr.Dataset | None, sampling: xr.Dataset | None) -> None:
        scale = _relative_to_prior if relative else _as_it_is
        solved = [(name, cube) for name, cube in theories(theory) if name != PRIOR]
        prior = _sizes(theory, split)
        looks = pair_looks(theory, sampling, split)
        many = len(looks) > FEW
        for pair, (color, label) in looks.items():
            for name, cube in solved[-1:]:
                curve = scale(theory_curve(cube, NAME, name, split=split, pair=pair), prior.get(pair))
                look = Look(color, approximation_look(name).linestyle, "")
                draw_line(ax, curve, look, None if many else label)
                if many:
                    ax.get_lines()[-1].set_linewidth(THIN)
                if many and label:
                    _name_inside(ax, curve, pair, color)
            if sampling is not None:
                points = scale(sampling_curve(sampling, NAME, split=split, pair=pair), prior.get(pair))
                draw_points(ax, points, None if solved or many else label, color=color)
        if relative:
            ax.axhline(0.0, color="0.6", linewidth=0.8, zorder=0)

    label = r"$D/D_\mathrm{prior}-1$ (%)" if relative else "class distance $D$"
    return Row((NAME,), f"{label}\n{INPUTS[split]}", paint)


def _as_it_is(curve: Curve, prior: float | None) -> Curve:
    return curve


def _relative_to_prior(curve: Curve, prior: float | None) -> Curve:
    """Change from the prior in per cent; nothing where the prior is not known."""
    if prior is None:
        return Curve(*(values[:0] for values in (curve.x, curve.y, curve.spread, curve.solid)))
    return Curve(curve.x, 100.0 * (curve.y / prior - 1.0), 100.0 * curve.spread / prior, curve.solid)


def pair_looks(
    theory: xr.Dataset | None, sampling: xr.Dataset | None, split: str
) -> dict[str, tuple[str, str | None]]:
    """Colour of every pair that has a distance here, and its name in the legend where it has one.

    More pairs than colours are coloured by the rank of their distance in the prior.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    sizes = _sizes(theory if theory is not None else sampling, split)
    ordered = sorted(sizes, key=lambda pair: -sizes[pair])
    if len(ordered) <= FEW:
        return {p: (PALETTE[k], _words(p)) for k, p in enumerate(ordered)}
    named = {ordered[0], ordered[len(ordered) // 2], ordered[-1]}
    scale = colormaps[COLORS]
    return {
        p: (to_hex(scale(0.9 * k / (len(ordered) - 1))), _words(p) if p in named else None)
        for k, p in enumerate(ordered)
    }


def _words(pair: str) -> str:
    one, _, other = pair.partition("-")
    return f"{one} and {other}"


def _sizes(cube: xr.Dataset | None, split: str) -> dict[str, float]:
    """Mean distance of every pair over temperatures and draws, in the prior where the cube has it."""
    if cube is None or NAME not in cube:
        return {}
    values = cube[NAME].sel(split=split)
    if "approximation" in values.dims:
        names = plain_values(cube["approximation"])
        values = values.sel(approximation=PRIOR if PRIOR in names else names[-1])
    if "statistic" in values.dims:
        values = values.sel(statistic="mean")
    rest = [d for d in values.dims if d != "pair"]
    means = values.mean(rest, skipna=True)
    return {
        str(p): float(v) for p, v in zip(means["pair"].values, means.values, strict=True) if np.isfinite(v)
    }


def _name_inside(ax: Axes, curve: Curve, pair: str, color: str) -> None:
    """The name of a pair above the left end of its curve."""
    from matplotlib.patheffects import withStroke

    if len(curve.x):
        ax.annotate(
            pair, (curve.x[0], curve.y[0]), xytext=(1, 1.5), textcoords="offset points", fontsize=6.5,
            color=color, zorder=5, path_effects=[withStroke(linewidth=1.8, foreground="white")],
        )  # fmt: skip


add(
    Figure(
        "pair_distances",
        "distances of pairs of classes",
        "Squared distance of the centroids of every pair of classes against temperature.",
        """\
A colour a pair; lines are the last of the theories, points are sampled posteriors with their Monte-Carlo
error; below, how much D differs from the prior. Of many pairs, colours go from the largest distance of the
prior (dark) to the smallest (bright), and three of them are named.

Two things change D: fitting the labels pulls classes apart, and what the outputs have in common with the
kernel's large modes is used up, which draws all classes together. With two or three classes the first wins at
every T. With many classes and N of the order of P the second, which every output brings, can win at high T,
and pairs that the prior keeps far apart end up closer. What gains, relative to the prior, are the pairs that
it hardly tells apart.""",
        _draw,
        section="1 Class distance",
        any_of=EQUILIBRIUM,
        shows=(NAME,),
        sliced=True,
        each_class=True,
        order=12,
    )
)
