"""Distances of all pairs of classes as matrices: in the prior, at T*, at low T."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from proplim.figures._base import Cubes, Drawings, Figure, add
from proplim.figures._looks import approximation_look
from proplim.figures._pages import INPUTS, equilibrium, slice_panels, theories
from proplim.figures._panels import finish, number, panel_figure, panel_title, parameters_text
from proplim.figures._slices import SIZES, Point, at, has_data, matches, points
from proplim.figures._style import Style
from proplim.geometry import pair_members
from proplim.query import PRIOR, parabola_peak, plain_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

NAME = "centroid_distance_sq"
SPLIT = "train"
FEW_CLASSES = 5
"""Matrices of more classes have no numbers in them."""
COLORS = "viridis"
CHANGE_COLORS = "RdBu_r"


def _draw(cubes: Cubes, style: Style) -> Drawings:
    """A file for each (P, N): the prior, T* and the lowest T; above D, below its change from the prior."""
    both = equilibrium(cubes)
    theory = both["theory"]
    if "pair" not in theory.dims or theory.sizes.get("temperature", 1) < 2:
        return
    for point in points({"theory": theory}):
        for where in [p for line in slice_panels({"theory": theory}, point, [NAME]) for p in line]:
            here = at(theory, where)
            assert here is not None
            names = [name for name, _ in theories(here) if name != PRIOR]
            if names and PRIOR in plain_values(here["approximation"]) and has_data(here, [NAME]):
                yield where, _page(both, where, here, at(both.get("sampling"), where), names[-1], style)


def _page(
    both: Cubes, where: Point, theory: xr.Dataset, sampling: xr.Dataset | None, name: str, style: Style
) -> Canvas:
    values = _over_draws(theory[NAME].sel(split=SPLIT)).sortby("temperature")
    prior = values.sel(approximation=PRIOR).isel(temperature=-1)
    learned = values.sel(approximation=name)
    chosen = chosen_temperatures(learned)
    labels = [str(label) for label in theory["label"].values]
    figure, axes = panel_figure(2, 1 + len(chosen), style, sharex="none", sharey="none")
    distances = [prior, *(learned.sel(temperature=t) for t in chosen.values())]
    highest = max(float(d.max()) for d in distances)
    sampled = [None, *(_sampled(sampling, t) for t in chosen.values())]
    titles = ["prior", *(f"{words}, $T={number(round_of(t))}$" for words, t in chosen.items())]
    changes = [100.0 * (d / prior - 1.0) for d in distances]
    reach = max(float(np.abs(c).max()) for c in changes) or 1.0
    images: list[tuple[Any, Any]] = []
    for j, (distance, change, measured, title) in enumerate(
        zip(distances, changes, sampled, titles, strict=True)
    ):
        top = _matrix(axes[0, j], labels, distance, measured, COLORS, 0.0, highest)
        axes[0, j].set_title(title, y=1.0)
        if j == 0:
            axes[1, j].set_visible(False)
            continue
        relative = None if measured is None else 100.0 * (measured / prior - 1.0)
        images.append((top, _matrix(axes[1, j], labels, change, relative, CHANGE_COLORS, -reach, reach)))
    top, bottom = images[-1]
    figure.colorbar(top, ax=axes[0, :], pad=0.02, aspect=15).set_label("class distance $D$")
    figure.colorbar(bottom, ax=axes[1, :], pad=0.02, aspect=15).set_label(r"$D/D_\mathrm{prior}-1$ (%)")
    below = "above the diagonal sampling" if any(s is not None for s in sampled) else ""
    text = (panel_title(where), approximation_look(name).title, below, INPUTS[SPLIT])
    return finish(figure, axes, parameters_text(both, without_sizes(where), *text))


def chosen_temperatures(learned: xr.DataArray) -> dict[str, float]:
    """What the matrices show, in words, and the temperature on the grid: near T* of the mean D, and the lowest.

    Where the mean D has no maximum, the temperature of its smallest value in place of T*.
    """
    mean = learned.mean("pair", skipna=True)
    x, y = mean["temperature"].values.astype(float), mean.values
    known = np.flatnonzero(np.isfinite(y))
    position, _ = parabola_peak(x[known], y[known])
    chosen: dict[str, float] = {}
    inside = float(x[known][np.argmin(y[known])])
    if np.isfinite(position):
        chosen["near $T^*$"] = float(x[known][np.argmin(np.abs(np.log(x[known] / position)))])
    elif x[known[0]] < inside < x[known[-1]]:
        chosen["smallest $D$"] = inside
    chosen["low"] = float(x[known[0]])
    return chosen


def round_of(temperature: float) -> float:
    """Two digits are enough in a title."""
    return float(f"{temperature:.2g}")


def _over_draws(values: xr.DataArray) -> xr.DataArray:
    return values.mean("seed", skipna=True) if "seed" in values.dims else values


def _sampled(sampling: xr.Dataset | None, temperature: float) -> xr.DataArray | None:
    """Sampled distances at a temperature of the theory, where it was sampled."""
    if sampling is None or NAME not in sampling:
        return None
    values: Any = _over_draws(sampling[NAME].sel(split=SPLIT, statistic="mean"))
    if "temperature" in values.dims:
        where = matches(values, "temperature", temperature)
        if not where.size:
            return None
        values = values.isel(temperature=int(where[0]))
    return values if np.isfinite(values).any() else None


def without_sizes(where: Point) -> Point:
    """A point without P and N, which stand in words of their own."""
    return {name: value for name, value in where.items() if name not in ("n_train", *SIZES)}


def _matrix(
    ax: Axes,
    labels: Sequence[str],
    below: xr.DataArray,
    above: xr.DataArray | None,
    colors: str,
    low: float,
    high: float,
) -> Any:
    """A symmetric matrix of pairs: theory below the diagonal, and above it too where nothing was sampled."""
    matrix = np.full((len(labels), len(labels)), np.nan)
    for values, lower in ((below, True), (below if above is None else above, False)):
        for pair, value in zip(values["pair"].values, values.values, strict=True):
            s, t = sorted(pair_members(str(pair), labels))
            matrix[(t, s) if lower else (s, t)] = value
    shown = [k for k in range(len(labels)) if np.isfinite(matrix[k]).any()]
    matrix = matrix[np.ix_(shown, shown)]
    image = ax.imshow(matrix, cmap=colors, vmin=low, vmax=high, interpolation="none")
    ax.set_xticks(range(len(shown)), [labels[k] for k in shown])
    ax.set_yticks(range(len(shown)), [labels[k] for k in shown])
    ax.tick_params(length=0)
    ax.minorticks_off()
    if len(shown) <= FEW_CLASSES:
        signed = low < 0.0
        for (i, j), value in np.ndenumerate(matrix):
            if np.isfinite(value):
                dark = abs(value) > 0.6 * high if signed else value < 0.5 * high
                text = f"{value:+.1f}" if signed else f"{value:.3f}"
                ax.text(j, i, text, ha="center", va="center", color="w" if dark else "k", fontsize=7)
    return image


add(
    Figure(
        "pair_matrices",
        "matrices of class distances",
        "Squared distances of all pairs of classes: in the prior, near T*, and at the lowest temperature.",
        """\
Above D, below how much it differs from the prior, in per cent, where the mean over pairs is largest (T*; if
it has no maximum, where it is smallest) and at the lowest temperature. Below the diagonal is theory; above
it are sampled posteriors where the temperature was sampled, else theory as well.

The matrices of D look alike: the hidden layer keeps most of the geometry of the inputs. What changes most,
relative to the prior, are the pairs that the inputs do not tell apart by themselves.""",
        _draw,
        section="1 Class distance",
        needs=("theory",),
        split=SPLIT,
        shows=(NAME,),
        sliced=True,
        each_class=True,
        order=14,
    )
)
