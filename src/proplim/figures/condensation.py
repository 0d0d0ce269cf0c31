"""Condensation against T: the labels that one unit carries, and how many units take part in the readout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from proplim.figures._base import Cubes, Drawings, Figure, add
from proplim.figures._looks import approximation_look, optimizer_look
from proplim.figures._pages import column_pages, equilibrium, theory_lines
from proplim.figures._panels import (
    draw_points,
    finish,
    label_bottom,
    log_axis,
    panel_figure,
    panel_title,
    parameters_text,
)
from proplim.figures._slices import Point, at, dynamics_curve, has_data, sampling_curve, values_of
from proplim.figures._style import Style
from proplim.query import plain_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

ROWS = {"heavy_unit_share": "share of the heaviest unit", "readout_participation": "participation ratio"}
TRANSITION = "condensation_temperature"


def _draw(cubes: Cubes, style: Style) -> Drawings:
    shown = {**equilibrium(cubes), **({"dynamics": cubes["dynamics"]} if "dynamics" in cubes else {})}
    for key, point, columns in column_pages(shown, list(ROWS)):
        yield key, _page(shown, point, columns, style)


def _page(cubes: Cubes, point: Point, columns: Sequence[Point], style: Style) -> Canvas:
    figure, axes = panel_figure(len(ROWS), len(columns), style, sharey="row")
    for j, where in enumerate(columns):
        theory, sampling, dynamics = (at(cubes.get(k), where) for k in ("theory", "sampling", "dynamics"))
        for ax, (name, ylabel) in zip(axes[:, j], ROWS.items(), strict=True):
            theory_lines(ax, _knowing(theory, name), name)
            if sampling is not None and has_data(sampling, [name]):
                draw_points(ax, sampling_curve(sampling, name), "sampling")
            if dynamics is not None and has_data(dynamics, [name]):
                _ends_of_training(ax, dynamics, name)
            _mark_transition(ax, theory)
            if j == 0:
                ax.set_ylabel(ylabel)
        axes[0, j].set_title(panel_title(where), y=1.0)
    axes[1, 0].set_ylim(bottom=0.0)
    figure.align_ylabels(axes[:, 0])
    log_axis(axes[0, 0], [np.asarray(values_of(cubes, "temperature"), dtype=float)])
    label_bottom(axes, "temperature $T$")
    return finish(figure, axes, parameters_text(cubes, point))


def _knowing(theory: xr.Dataset | None, name: str) -> xr.Dataset | None:
    """The theories that have a number for this variable; None where no theory has one."""
    if theory is None:
        return None
    names = plain_values(theory["approximation"])
    known = [a for a in names if has_data(theory.sel(approximation=a), [name])]
    return theory.sel(approximation=known) if known else None


def _ends_of_training(ax: Axes, dynamics: xr.Dataset, name: str) -> None:
    """Training has no temperature: the value at its last time is a line across, with the spread of replicas."""
    for optimizer in plain_values(dynamics["optimizer"]):
        curve = dynamics_curve(dynamics, name, optimizer)
        if not len(curve.x):
            continue
        look, value, spread = optimizer_look(optimizer), curve.y[-1], curve.spread[-1]
        label = f"{look.title}, $t={curve.x[-1]:g}$"
        ax.axhline(value, color=look.color, linestyle=(0, (4, 3)), linewidth=1.0, label=label)
        if spread > 0:
            ax.axhspan(value - spread, value + spread, color=look.color, alpha=0.12, linewidth=0)


def _mark_transition(ax: Axes, theory: xr.Dataset | None) -> None:
    """A line at T_c of every theory that has a transition, the mean over draws."""
    if theory is None or TRANSITION not in theory:
        return
    for approximation in plain_values(theory["approximation"]):
        found = np.asarray(theory[TRANSITION].sel(approximation=approximation).values, dtype=float)
        if np.isfinite(found).any():
            color = approximation_look(approximation).color
            ax.axvline(
                float(np.nanmean(found)), color=color, linewidth=0.7, linestyle=(0, (1, 2)), label="$T_c$"
            )


add(
    Figure(
        "condensation",
        "condensation on one unit",
        "The share of the labels that the heaviest unit carries, and how many units take part in the readout.",
        """\
Above: ``v_i s_i.y/(sqrt(N)|y|^2)`` of the unit with the largest ``|v_i|``, 0 where no unit is special, 1 where it
fits the labels alone. Below: (sum v^2)^2/(N sum v^4), a third for Gaussian readouts of a wide network, 1/N
for one heavy unit. The dotted line is T_c, where both phases have the same evidence: a first-order
transition, across which both quantities jump.

Lines are theory, points sampled posteriors; the broken line across is where training from the prior ends.
Theories of a single phase (infinite width, proportional, cavity) have no heavy unit and no line here.""",
        _draw,
        section="3 Weights",
        any_of=("theory", "sampling", "dynamics"),
        shows=(*ROWS, TRANSITION, "condensed_probability"),
        sliced=True,
        order=45,
    )
)
