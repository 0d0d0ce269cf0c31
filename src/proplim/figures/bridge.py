"""Class distance against training error: temperature runs along equilibrium, time along training; a file a width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from proplim.dynamics import find_turn
from proplim.figures._base import EQUILIBRIUM, Cubes, Drawings, Figure, add
from proplim.figures._decades import Decade, mark_decades, write_decades
from proplim.figures._distances import Distance, shown_in_time, verdict, with_distances
from proplim.figures._lay_out import lay_out
from proplim.figures._looks import SAMPLING_COLOR, approximation_look, optimizer_look
from proplim.figures._pages import width_pages
from proplim.figures._panels import (
    finish,
    label_bottom,
    log_axis,
    panel_figure,
    panel_title,
    parameters_text,
)
from proplim.figures._slices import (
    Point,
    at,
    dynamics_curve,
    sampling_curve,
    shared_seeds,
    theory_curve,
)
from proplim.figures._style import Style
from proplim.query import PRIOR, plain_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

ERROR = "mse"
BEYOND = 1e-3
"""How far below the smallest error in equilibrium training is shown; a network goes on to fit without end."""
FITTED = 1e-8
"""Training error that counts as none, where there is no equilibrium to compare with."""


def _draw(cubes: Cubes, style: Style) -> Drawings:
    """Both curves leave the prior on the left and go right as the training error decreases."""
    cubes = with_distances(shared_seeds({k: v for k, v in cubes.items() if k in (*EQUILIBRIUM, "dynamics")}))
    dynamics = {"dynamics": cubes["dynamics"]}
    distances = shown_in_time(cubes["dynamics"])
    for key, here, n_trains in width_pages(dynamics, [distances[0].name, ERROR]):
        yield key, _page(cubes, distances, here, n_trains, style)


def _page(
    cubes: Cubes, distances: Sequence[Distance], point: Point, n_trains: Sequence, style: Style
) -> Canvas:
    """A row a measure of distance."""
    figure, axes = panel_figure(len(distances), len(n_trains), style, sharex=True, sharey=False)
    errors: list[np.ndarray] = []
    decades: list[list[Decade]] = []
    for row, distance in zip(axes, distances, strict=True):
        for ax, n_train in zip(row, n_trains, strict=True):
            where = {**point, "n_train": n_train}
            labels: list[Decade] = []
            theory, sampling = (at(cubes.get(stage), where) for stage in EQUILIBRIUM)
            equilibrium = _draw_equilibrium(ax, theory, sampling, distance, labels)
            lowest = BEYOND * min(map(np.min, equilibrium)) if equilibrium else FITTED
            training = _draw_training(ax, at(cubes["dynamics"], where), distance, lowest, labels)
            errors += equilibrium + training
            decades.append(labels)
        row[0].set_ylabel(distance.label)
    for ax, n_train in zip(axes[0], n_trains, strict=True):
        ax.set_title(panel_title({**point, "n_train": n_train}), y=1.0)
    figure.align_ylabels(axes[:, 0])
    log_axis(axes[0, 0], errors)
    # From left to right as training goes on and as it gets colder.
    axes[0, 0].invert_xaxis()
    label_bottom(axes, "training error")
    replicas = int(cubes["dynamics"].sizes.get("replica", 1))
    more = f"{replicas} initialisation{'s (thin) and their mean' if replicas > 1 else ''}"
    finish(
        figure,
        axes,
        parameters_text(cubes, point, more, "training inputs", verdict(cubes["dynamics"])),
    )
    lay_out(figure)
    for ax, labels in zip(axes.flat, decades, strict=True):
        write_decades(ax, labels)
    return figure


def _draw_equilibrium(
    ax: Axes,
    theory: xr.Dataset | None,
    sampling: xr.Dataset | None,
    shown: Distance,
    decades: list[Decade],
) -> list[np.ndarray]:
    errors = []
    names = shown.name, ERROR
    labelled = False
    for name in () if theory is None else plain_values(theory["approximation"]):
        assert theory is not None
        distance, error = (theory_curve(theory, v, name, split="train") for v in names)
        if len(distance.x) != len(error.x) or not len(error.x):
            continue
        look = approximation_look(name)
        ax.plot(
            error.y, distance.y, color=look.color, linestyle=look.linestyle, label=f"{look.title}, over $T$"
        )
        top = int(np.argmax(distance.y))
        if 0 < top < len(distance.y) - 1 and name != PRIOR:
            _mark(ax, error.y[top], distance.y[top], look.color)
        errors.append(error.y)
        if name != PRIOR and not labelled:
            labelled = True
            decades += mark_decades(ax, distance.x, error.y, distance.y, look.color, "T")
    if sampling is not None:
        distance, error = (sampling_curve(sampling, v, split="train") for v in names)
        if len(distance.x) == len(error.x) and len(error.x):
            ax.errorbar(
                error.y,
                distance.y,
                xerr=error.spread,
                yerr=distance.spread,
                linestyle="",
                marker="o",
                color=SAMPLING_COLOR,
                markersize=3.8,
                elinewidth=0.9,
                zorder=4,
                label="sampling, over $T$",
            )
            errors.append(error.y)
    return errors


def _draw_training(
    ax: Axes, dynamics: xr.Dataset | None, shown: Distance, lowest: float, decades: list[Decade]
) -> list[np.ndarray]:
    """Curves of training as far as their error is not below `lowest`."""
    errors = []
    for k, name in enumerate(() if dynamics is None else plain_values(dynamics["optimizer"])):
        assert dynamics is not None
        look = optimizer_look(name)
        color = look.color
        part = dynamics[[n for n in (shown.name, ERROR, "converged") if n in dynamics]]
        for replica in range(dynamics.sizes["replica"]):
            single = part.isel(replica=[replica])
            _, distance, error = _in_training(single, shown, name, lowest)
            ax.plot(error, distance, color=color, linewidth=0.6, alpha=0.45)
        time, distance, error = _in_training(dynamics, shown, name, lowest)
        if not len(error):
            continue
        ax.plot(error, distance, color=color, linewidth=1.8, label=f"{look.title}, over $t$")
        turn = find_turn(distance)
        if turn is not None:
            _mark(ax, error[turn[0]], distance[turn[0]], color)
        if k == 0:
            decades += mark_decades(ax, time, error, distance, color, "t")
        errors.append(error)
    return errors


def _in_training(
    dynamics: xr.Dataset, shown: Distance, optimizer: str, lowest: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time, distance and error; nothing where they are not known at the same times."""
    distance, error = (
        dynamics_curve(dynamics, name, optimizer, split="train") for name in (shown.name, ERROR)
    )
    if len(distance.x) != len(error.x):
        return np.empty(0), np.empty(0), np.empty(0)
    keep = error.y >= lowest
    return distance.x[keep], distance.y[keep], error.y[keep]


def _mark(ax: Axes, x: float, y: float, color: str) -> None:
    ax.plot([x], [y], marker="v", color=color, markersize=5, linestyle="", label="maximum")


add(
    Figure(
        "bridge",
        "temperature and time in one figure",
        "Class distance against training error: equilibrium and training in one figure.",
        """\
Along the equilibrium curve (theory, and sampled points) the parameter is temperature, along the training
curve it is time. Thin lines are single networks, the thick one their mean. The first row is D. Where the mean of D over
networks does not fall in time, but that of ``D/(R_+^2 + R_-^2)``, the distance in units of the class sizes, or of the
normalised distance does, a second row shows it; the line below says which.

Both rise from the prior at large error and turn at a small one. Where the two curves lie together,
temperature and time play the same part: what counts is how well the data are fitted.""",
        _draw,
        section="6 Training",
        needs=("dynamics",),
        any_of=EQUILIBRIUM,
        split="train",
        shows=("centroid_distance_sq", ERROR),
        sliced=True,
        order=110,
    )
)
